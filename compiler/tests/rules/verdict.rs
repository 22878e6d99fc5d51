//! A verdict is given with less work than a plan, and says the same.

use flow_compiler::compile::Compiler;
use flow_compiler::settings::Settings;

use super::project::CRM;

fn said(source: &str, settings: Settings) -> Vec<String> {
    let mut compiler = Compiler::new(settings);
    compiler.set("crm.flow", CRM);
    compiler.set("a.flow", source);
    compiler.compile().diagnostics().iter().map(|one| format!("{one:?}")).collect()
}

/// A flow without a name is known by what it says, however it is written.
#[test]
fn a_flow_that_is_there_twice_is_found_by_a_verdict_too() {
    let cases = [
        // The same, laid out in another way.
        (
            "when crm.person_updated where score > 1 and level is \"gold\" do crm.count(name: \"x\")\n\
             when crm.person_updated\n  where score > 1   and level is \"gold\" # the same\n  do crm.count(name: \"x\",)\n",
            1,
        ),
        // What differs is the condition, the input, the trigger, the clause.
        (
            "when crm.person_updated where score > 1 do crm.count(name: \"x\")\n\
             when crm.person_updated where score > 2 do crm.count(name: \"x\")\n\
             when crm.person_updated where score > 1 do crm.count(name: \"y\")\n\
             when crm.person_created(imported: true) where score > 1 do crm.count(name: \"x\")\n\
             when crm.person_updated where score > 1 at most 3 per hour do crm.count(name: \"x\")\n",
            0,
        ),
        // Schedules, of which the summary says nothing.
        ("every 5 minutes do crm.count(name: \"x\")\nevery 6 minutes do crm.count(name: \"x\")\n", 0),
        ("every 5 minutes do crm.count(name: \"x\")\n\nevery 5  minutes do crm.count(name: \"x\")\n", 1),
    ];
    for (source, twice) in cases {
        let quick = said(source, Settings { verdict_only: true, quick: true, ..Settings::default() });
        let whole = said(source, Settings { quick: true, ..Settings::default() });
        assert_eq!(quick, whole, "{source}");
        assert_eq!(
            whole.iter().filter(|one| one.contains("the same flow is there twice")).count(),
            twice,
            "{source}\n{whole:#?}"
        );
    }
}
