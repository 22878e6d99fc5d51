use std::fmt::Write as _;

use crate::project::{said, snapshot};

const LOCK: &str = r#"
connector lock "Lock" {
  base "https://lock.example"
  secret token
  setting device: text
  setting monthly_quota: int?
  quota 1_000 per month shared by token
  record Entry { id: id<Entry> @key  what: text }
  trigger entry: Entry from history
  source history { poll GET "/history" every 1 minute items "" id "id" }
  source other { poll GET "/other" every 1 minute items "" id "id" }
  trigger other_entry: Entry from other
  action lock { POST "/lock" json { cmd: 1 } effect set }
}
"#;

const FLOWS: &str = "when front.entry where what is \"left\" do front.lock\nwhen back.entry where what is \"left\" do back.lock\n\
                     when back.entry where what is \"open\" do front.lock\n";

fn toml(front: &str, back: &str) -> String {
    format!(
        "[connections.front]\nconnector = \"lock\"\ndevice = \"1\"\n{front}\n\n[connections.back]\nconnector = \"lock\"\ndevice = \"2\"\n{back}\n"
    )
}

#[test]
fn polls_are_counted_over_all_connections_that_share_a_key() {
    let same = "token = { env = \"LOCK\" }";
    let cases = [
        ("one key, every minute", toml(same, same)),
        ("two keys, every minute", toml(same, "token = { env = \"OTHER\" }")),
        ("one key, slow enough", toml(&format!("{same}\npoll = \"2 hours\""), &format!("{same}\npoll = \"2 hours\""))),
        ("one key, with little left", toml(&format!("{same}\npoll = \"95 minutes\""), &format!("{same}\npoll = \"95 minutes\""))),
        ("one key, only one is polled", toml(&format!("{same}\npoll = false"), &format!("{same}\npoll = \"1 hour\""))),
        ("a plan of their own", toml(&format!("{same}\nmonthly_quota = 500_000"), &format!("{same}\nmonthly_quota = 500_000"))),
        ("no keys known", toml("", "poll = false")),
    ];
    let mut text = String::new();
    for (what, toml) in &cases {
        let said = said(&[("flow.toml", toml), ("lock.flow", LOCK), ("a.flow", FLOWS)]);
        let _ = writeln!(text, "{what}\n\n{}\n────", if said.is_empty() { "nothing to say\n" } else { &said });
    }
    snapshot("quotas", &text);
}

#[test]
fn sources_that_no_flow_uses_cost_nothing_and_those_of_many_flows_cost_once() {
    let slow = LOCK.replace("every 1 minute", "every 1 hour");
    let one = "when lock.entry where what is \"a\" do lock.lock\nwhen lock.entry where what is \"b\" do lock.lock\n";
    assert_eq!(said(&[("lock.flow", &slow), ("a.flow", one)]), "");
    let both = format!("{one}when lock.other_entry do lock.lock");
    let said = said(&[("lock.flow", &slow), ("a.flow", &both)]);
    assert!(said.starts_with("error[E705]") && said.contains("1,440"), "{said}");
}
