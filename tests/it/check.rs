//! `flowc` from outside: exit codes, formats, bad input.

use serde_json::{Value, json};

use crate::support::daemon::ONE_LINER;
use crate::support::program::{flowc, flowc_with, project};

#[test]
fn the_one_liner_checks_without_a_word() {
    let folder = project(&[("a.flow", ONE_LINER)]);
    let outcome = flowc(folder.path(), &["check", "--deny-warnings"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(outcome.err.trim(), "1 flow in 1 file: no problems");
}

#[test]
fn json_has_the_shape_of_the_contract() {
    let folder = project(&[("a.flow", "when stripe.charge_failed where amuont > 100 do kustomer.create_conversation\n")]);
    let outcome = flowc(folder.path(), &["check", "--format", "json"]);
    assert_eq!(outcome.code, 1);
    let json: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(json["summary"], json!({ "files": 1, "flows": 1, "errors": 1, "warnings": 0 }));
    let diagnostic = &json["diagnostics"][0];
    assert_eq!(diagnostic["code"], "E201");
    assert_eq!(diagnostic["severity"], "error");
    assert_eq!(diagnostic["file"], "a.flow");
    assert_eq!(diagnostic["span"]["start"], json!({ "offset": 32, "line": 1, "column": 33 }));
    assert_eq!(diagnostic["span"]["end"], json!({ "offset": 38, "line": 1, "column": 39 }));
    assert_eq!(diagnostic["fixes"][0]["edits"][0]["text"], "amount");
    assert!(diagnostic["labels"].is_array() && diagnostic.get("help").is_some());
}

#[test]
fn columns_count_characters_and_offsets_count_bytes() {
    let folder = project(&[(
        "a.flow",
        "# é\nwhen stripe.charge_failed where description is \"é\" and amuont > 1 do kustomer.create_conversation\n",
    )]);
    let json: Value = serde_json::from_str(&flowc(folder.path(), &["check", "--format", "json"]).out).unwrap();
    let start = &json["diagnostics"][0]["span"]["start"];
    assert_eq!((start["line"].as_u64(), start["column"].as_u64(), start["offset"].as_u64()), (Some(2), Some(56), Some(61)));
}

#[test]
fn one_broken_flow_hides_no_other() {
    let text = "when stripe.charge_failed where amount > do kustomer.create_conversation\n\nwhen stripe.charge_failed where amuont > 1 do kustomer.create_conversation\n\nwhen stripe.charge_faild do kustomer.create_conversation\n\nwhen stripe.charge_failed where livemode do kustomer.create_conversation\n";
    let folder = project(&[("a.flow", text)]);
    let json: Value = serde_json::from_str(&flowc(folder.path(), &["check", "--format", "json"]).out).unwrap();
    let lines: Vec<u64> =
        json["diagnostics"].as_array().unwrap().iter().map(|one| one["span"]["start"]["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3, 5], "{json:#}");
}

#[test]
fn standard_input_several_paths_and_folders() {
    let folder = project(&[
        ("one/a.flow", ONE_LINER),
        ("one/deep/b.flow", ONE_LINER),
        ("two/c.flow", ONE_LINER),
        ("one/.hidden/d.flow", "nonsense"),
        ("one/target/e.flow", "nonsense"),
    ]);
    assert_eq!(flowc_with(folder.path(), &["check", "-"], ONE_LINER.as_bytes()).code, 0);
    let bad = flowc_with(folder.path(), &["check", "-", "--format", "json"], b"when");
    assert_eq!(bad.code, 1);
    assert!(bad.out.contains("<stdin>"), "{bad:?}");
    let both = flowc(folder.path(), &["check", "one", "two/c.flow"]);
    assert_eq!(both.code, 0, "{both:?}");
    assert!(both.err.contains("3 flows in 3 files"), "{both:?}");
}

#[test]
fn wrong_usage_and_unreadable_files_are_2() {
    let folder = project(&[("empty/readme.txt", "x"), ("a.flow", ONE_LINER)]);
    for args in [
        &["check", "nothere.flow"][..],
        &["check", "empty"],
        &["chek"],
        &["explain", "E999"],
        &["docs", "stripe.nothing"],
        &["check", "--format", "xml"],
    ] {
        let outcome = flowc(folder.path(), args);
        assert_eq!(outcome.code, 2, "{args:?} {outcome:?}");
        assert!(outcome.out.is_empty() && !outcome.err.is_empty(), "{args:?} {outcome:?}");
    }
    assert!(flowc(folder.path(), &["docs", "stripe.charge_faild"]).err.contains("charge_failed"));
}

#[test]
fn any_bytes_get_a_clear_answer() {
    let deep = format!(
        "when stripe.charge_failed where {}amount > 1{} do kustomer.create_conversation\n",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    let folder = project(&[]);
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("latin1.flow", b"when stripe.charge_failed\nwhere description is \"caf\xe9\" do x.y\n");
    write("utf16.flow", b"\xff\xfew\0h\0e\0n\0");
    write("zero.flow", &[0; 4096]);
    write("deep.flow", deep.as_bytes());
    write("large.flow", &vec![b'x'; 50 * 1024 * 1024]);
    write("bom.flow", format!("\u{feff}{ONE_LINER}").as_bytes());
    write("crlf.flow", ONE_LINER.replace('\n', "\r\n").as_bytes());
    write("empty.flow", b"");
    std::fs::create_dir(folder.path().join("folder.flow")).unwrap();
    for (name, code, words) in [
        ("latin1.flow", 1, "not UTF-8"),
        ("utf16.flow", 1, "UTF-16"),
        ("zero.flow", 1, "E1"),
        ("deep.flow", 1, "E106"),
        ("large.flow", 1, "too large"),
        ("bom.flow", 0, "no problems"),
        ("crlf.flow", 0, "no problems"),
        ("empty.flow", 0, "0 flows"),
        ("folder.flow", 2, "no .flow files"),
    ] {
        let outcome = flowc(folder.path(), &["check", name]);
        assert_eq!(outcome.code, code, "{name} {}", outcome.err);
        assert!(outcome.err.contains(words), "{name} {}", outcome.err);
    }
}

#[test]
fn settings_of_flow_toml_can_be_read_and_secrets_cannot() {
    let toml = "timezone = \"Europe/Paris\"\n[server]\npublic_url = \"https://hooks.example.org\"\n[connections.stripe]\n[connections.kustomer]\norg = \"acme\"\napi_key = { env = \"TEST_KUSTOMER_KEY\" }\n";
    let with = |text: &str| {
        let flow = format!("when stripe.charge_failed do kustomer.create_conversation(name: \"{text}\", customer: \"c\")\n");
        let folder = project(&[("flow.toml", toml), ("a.flow", &flow)]);
        flowc(folder.path(), &["check"])
    };
    let fine = with("{env.timezone} {env.public_url} {env.kustomer.org}");
    assert_eq!(fine.code, 0, "{}", fine.err);
    for (text, words) in [
        ("{env.currency}", "flow.toml does not say what `currency` is"),
        ("{env.kustomer.api_key}", "`api_key` is a secret of `kustomer`"),
        ("{env.kustomer.orgg}", "write `org`"),
        ("{env.kustomer}", "which setting of `kustomer`?"),
        ("{env.HOME}", "variables of the environment are read by flow.toml alone"),
        ("{env}", "`env` is no value by itself"),
    ] {
        let outcome = with(text);
        assert_eq!(outcome.code, 1, "{text} {outcome:?}");
        assert!(outcome.err.contains(words), "{text} {}", outcome.err);
    }
}

/// A plan is looked at where the flow comes from somebody else.
#[test]
fn a_plan_steers_no_terminal() {
    let flow =
        "flow big \"t\u{1b}[31mX\"\n  when stripe.charge_failed where id is \"\u{1b}]0;pwn\u{7}\"\n  do log(\"\u{1b}[2J\")\n";
    let folder = project(&[("a.flow", flow)]);
    let plan = flowc(folder.path(), &["plan"]);
    assert!(plan.code == 0 && plan.out.contains("[31mX"), "{plan:?}");
    assert!(plan.out.chars().all(|c| c == '\n' || !c.is_control()), "{plan:?}");
}

#[test]
fn plan_expand_docs_and_explain_print_data() {
    let folder = project(&[("a.flow", ONE_LINER)]);
    let plan: Value = serde_json::from_str(&flowc(folder.path(), &["plan", "--format", "json"]).out).unwrap();
    assert_eq!(plan["version"], 1);
    let flow = &plan["flows"][0];
    for key in ["id", "name", "file", "line", "hash", "triggers", "reads", "filter", "steps", "calls", "sends"] {
        assert!(flow.get(key).is_some(), "{key}: {flow:#}");
    }
    assert_eq!((flow["file"].as_str(), flow["line"].as_u64()), (Some("a.flow"), Some(1)));
    assert!(flow["sends"].to_string().contains("customer_email (personal)"), "{flow:#}");

    let expanded = flowc(folder.path(), &["expand"]).out;
    assert!(expanded.contains("kustomer.find_or_create_customer(email: require customer_email) as customer"), "{expanded}");
    // What is written out means the same and needs nothing filled in.
    let again = flowc_with(folder.path(), &["check", "-", "--strict", "--deny-warnings"], expanded.as_bytes());
    assert_eq!(again.code, 0, "{again:?}");

    // What the resolver starts from may be given by its own name.
    let given = "when stripe.charge_failed do kustomer.create_conversation(name: \"x\", email: customer_email else \"till@example.com\")\n";
    let strict = flowc_with(folder.path(), &["check", "-", "--strict", "--deny-warnings"], given.as_bytes());
    assert_eq!(strict.code, 0, "{strict:?}");
    let expanded = flowc_with(folder.path(), &["expand", "-"], given.as_bytes()).out;
    for line in [
        "kustomer.find_or_create_customer(email: customer_email else \"till@example.com\") as customer",
        "kustomer.create_conversation(name: \"x\", customer: customer.id)",
    ] {
        assert!(expanded.contains(line), "{expanded}");
    }

    assert!(flowc(folder.path(), &["docs"]).out.contains("stripe"));
    assert!(flowc(folder.path(), &["docs", "stripe.charge_failed"]).out.contains("customer_email"));
    assert!(flowc(folder.path(), &["explain", "e302"]).out.contains("E302"));
    assert!(flowc(folder.path(), &["explain"]).out.lines().count() > 30);
}

#[test]
fn an_unused_connection_can_be_allowed_in_flow_toml() {
    let toml = |comment: &str| {
        format!("[connections.stripe]\n\n[connections.kustomer]\n\n{comment}\n[connections.spare]\nconnector = \"stripe\"\n")
    };
    let said = |comment: &str| {
        let folder = project(&[("flow.toml", &toml(comment)), ("a.flow", ONE_LINER)]);
        let json: Value = serde_json::from_str(&flowc(folder.path(), &["check", "--format", "json"]).out).unwrap();
        json["diagnostics"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(said(""), ["W706"]);
    assert_eq!(said("# allow W706: kept for the season"), [""; 0]);
    assert_eq!(said("# allow W203: not this"), ["W901", "W706"]);
}

#[test]
fn github_gets_one_line_for_each_with_nothing_that_could_break_it() {
    let folder = project(&[
        ("sub/flow.toml", "[connections.stripe]\n[connections.kustomer]\n"),
        ("sub/50%, a:b.flow", "when stripe.charge_failed where amuont > 100 do kustomer.create_conversation\n"),
    ]);
    let outcome = flowc(folder.path(), &["check", "sub", "--format", "github"]);
    assert_eq!(outcome.code, 1);
    let (properties, message) = outcome.out.trim_end_matches('\n').split_once("::there").unwrap();
    assert_eq!(
        properties,
        "::error file=sub/50%25%2C a%3Ab.flow,line=1,endLine=1,col=33,endColumn=39,\
         title=E201%3A a name that nothing in scope defines"
    );
    // Several lines in one, each kept.
    assert!(message.contains("%0Adid you mean") && message.ends_with("%0Afix: `amount`"), "{message}");
    assert_eq!(outcome.out.lines().count(), 1);
}

#[test]
fn sarif_is_relative_to_the_project() {
    let folder = project(&[
        ("sub/flow.toml", "[connections.stripe]\n[connections.kustomer]\n"),
        ("sub/deep/a.flow", "when stripe.charge_failed where amuont > 100 do kustomer.create_conversation\n"),
    ]);
    let outcome = flowc(folder.path(), &["check", "sub", "--format", "sarif"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (1, ""));
    let log: Value = serde_json::from_str(&outcome.out).unwrap();
    let run = &log["runs"][0];
    let location = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], "deep/a.flow");
    assert_eq!(location["region"], json!({ "startLine": 1, "startColumn": 33, "endLine": 1, "endColumn": 39 }));
    let base = run["originalUriBaseIds"]["PROJECT"]["uri"].as_str().unwrap();
    assert!(base.starts_with("file:///") && base.ends_with("/sub/"), "{base}");
    let from_input = flowc_with(folder.path(), &["check", "-", "--format", "sarif"], b"when");
    assert!(from_input.out.contains("%3Cstdin%3E"), "{from_input:?}");
}

#[test]
fn options_decide_what_fails() {
    let warned = "when stripe.charge_failed do {\n  let amount = event.amount\n  kustomer.create_conversation\n}\n";
    let folder = project(&[("warned.flow", warned), ("well.flow", ONE_LINER)]);
    let run = |args: &[&str]| {
        let mut all = vec!["check", "--format", "json"];
        all.extend(args);
        let outcome = flowc(folder.path(), &all);
        let json: Value = serde_json::from_str(&outcome.out).unwrap();
        let said: Vec<String> = json["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{} {}", one["code"].as_str().unwrap(), one["severity"].as_str().unwrap()))
            .collect();
        (outcome.code, said.join(", "))
    };
    assert_eq!(run(&["warned.flow"]), (0, "W203 warning".to_owned()));
    assert_eq!(run(&["warned.flow", "--deny-warnings"]), (1, "W203 warning".to_owned()));
    assert_eq!(run(&["well.flow"]), (0, String::new()));
    // Advice is no warning: it fails nothing.
    assert_eq!(run(&["well.flow", "--pedantic", "--deny-warnings"]), (0, "W311 advice, W403 advice".to_owned()));
    // What would be required is an error instead.
    assert_eq!(run(&["well.flow", "--strict"]), (1, "E302 error".to_owned()));
}

#[test]
fn files_of_one_name_in_two_projects_keep_their_places() {
    let one = "# a\n\n\nwhen stripe.charge_faild do kustomer.create_conversation\n";
    let two = "when stripe.charge_faild do kustomer.create_conversation\n";
    let toml = "[connections.stripe]\n[connections.kustomer]\n";
    let folder = project(&[("one/flow.toml", toml), ("one/a.flow", one), ("two/flow.toml", toml), ("two/a.flow", two)]);
    let outcome = flowc(folder.path(), &["check", "one", "two", "--format", "json"]);
    let json: Value = serde_json::from_str(&outcome.out).unwrap();
    let lines: Vec<u64> =
        json["diagnostics"].as_array().unwrap().iter().map(|one| one["span"]["start"]["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [4, 1]);
    assert_eq!(json["summary"], json!({ "files": 2, "flows": 2, "errors": 2, "warnings": 0 }));
}

#[test]
fn a_graph_goes_to_standard_output() {
    let folder = project(&[("a.flow", ONE_LINER)]);
    let svg = flowc(folder.path(), &["graph"]);
    assert!(svg.code == 0 && svg.err.is_empty() && svg.out.starts_with("<svg ") && svg.out.ends_with("</svg>\n"), "{svg:?}");
    let mermaid = flowc_with(folder.path(), &["graph", "-", "--format", "mermaid"], ONE_LINER.as_bytes());
    assert!(
        mermaid.code == 0 && mermaid.out.starts_with("flowchart LR\n") && mermaid.out.contains("charge_failed"),
        "{mermaid:?}"
    );
    let broken = flowc_with(folder.path(), &["graph", "-"], b"when stripe.charge_faild do kustomer.create_conversation");
    assert!(broken.code == 1 && broken.out.is_empty() && broken.err.contains("E201"), "{broken:?}");
}

#[test]
fn shells_get_their_completions() {
    let folder = project(&[]);
    for (shell, part) in [("bash", "_flowc()"), ("zsh", "#compdef flowc"), ("fish", "complete -c flowc")] {
        let outcome = flowc(folder.path(), &["completions", shell]);
        assert!(outcome.code == 0 && outcome.out.contains(part) && outcome.out.contains("deny-warnings"), "{shell} {outcome:?}");
    }
    assert_eq!(flowc(folder.path(), &["completions", "tcsh"]).code, 2);
}

#[test]
fn help_of_every_command() {
    let folder = project(&[]);
    let mut text = String::new();
    for (program, commands) in [
        (
            "flowc",
            &[
                "",
                "check",
                "fmt",
                "plan",
                "next",
                "expand",
                "lock",
                "graph",
                "completions",
                "explain",
                "docs",
                "import",
                "import openapi",
            ][..],
        ),
        (
            "flowd",
            &[
                "",
                "run",
                "demo",
                "sandbox",
                "connect",
                "disconnect",
                "check-config",
                "status",
                "flows",
                "events",
                "runs",
                "show",
                "why",
                "dead",
                "retry",
                "cancel",
                "pause",
                "resume",
            ],
        ),
    ] {
        for command in commands {
            let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
            let outcome = if program == "flowc" {
                flowc(folder.path(), &args)
            } else {
                crate::support::program::flowd(folder.path(), &args)
            };
            assert_eq!(outcome.code, 0);
            text.push_str(&format!("$ {program} {}\n{}\n", args.join(" "), outcome.out));
        }
    }
    insta::assert_snapshot!("help", text);
}
