use crate::harness::{Project, check};
use crate::listing;

#[test]
fn the_one_liner() {
    let mut project = Project::new();
    let checked = project.check("when stripe.charge_failed where amount > 100 do kustomer.create_conversation\n");
    println!("{}", crate::harness::rendered(&checked.source, &checked.diagnostics));
    let flow = checked.outcomes[0].flow.as_ref().unwrap();
    println!("{}", listing::plan(flow));
    println!("{}", check("when stripe.charge_failed where amuont > 100 do kustomer.create_conversatio(nam: 1)"));
}
