//! `flowc fmt` on files.

use crate::support::program::{flowc, flowc_with, project};

const UGLY: &str = "# first\nwhen   stripe.charge_failed where amount>100 USD&&livemode do kustomer.create_conversation( priority:3,name:'x' ) # last\n";

#[test]
fn formats_in_place_keeps_comments_and_is_stable() {
    let folder = project(&[("a.flow", UGLY)]);
    assert_eq!(flowc(folder.path(), &["fmt", "--check"]).code, 1);
    assert_eq!(std::fs::read_to_string(folder.path().join("a.flow")).unwrap(), UGLY);
    let diff = flowc(folder.path(), &["fmt", "--diff"]);
    assert_eq!(diff.code, 1);
    assert!(diff.out.contains("-when   stripe") && diff.out.contains("+"), "{diff:?}");
    assert_eq!(flowc(folder.path(), &["fmt"]).code, 0);
    let once = std::fs::read_to_string(folder.path().join("a.flow")).unwrap();
    assert!(once.contains("# first") && once.contains("# last") && once.contains(" and livemode"), "{once}");
    assert_eq!(flowc(folder.path(), &["fmt", "--check"]).code, 0);
    assert_eq!(flowc_with(folder.path(), &["fmt", "-"], once.as_bytes()).out, once);
}

#[test]
fn a_file_with_errors_is_left_as_it_is() {
    let text = "when   stripe.charge_failed where amount > do kustomer.create_conversation\n";
    let folder = project(&[("bad.flow", text), ("good.flow", UGLY)]);
    let outcome = flowc(folder.path(), &["fmt"]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("bad.flow left as it is"), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("bad.flow")).unwrap(), text);
    assert_ne!(std::fs::read_to_string(folder.path().join("good.flow")).unwrap(), UGLY);
}
