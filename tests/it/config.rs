//! flow.toml: each mistake has its message.

use crate::support::daemon::ONE_LINER;
use crate::support::program::{flowc, flowd, flowd_with_env, project};

#[test]
fn each_mistake_in_flow_toml_is_shown_where_it_is() {
    let cases = [
        ("not toml", "[connections\n"),
        ("unknown table", "[conections.stripe]\n"),
        ("unknown key", "[server]\nlistn = \"127.0.0.1:1\"\n"),
        ("wrong kind", "[run]\nconcurrency = \"many\"\n"),
        ("flood", "[run]\nflood = -1\n"),
        ("zone", "timezone = \"Paris\"\n"),
        ("currency", "currency = \"DOLLARS\"\n"),
        ("no such connector", "[connections.strpe]\n"),
        ("no such setting", "[connections.kustomer]\norganisation = \"acme\"\n"),
        ("literal secret", "[connections.kustomer]\napi_key = \"abc123-plain\"\n"),
        ("setting as secret", "[connections.kustomer]\norg = { env = \"ORG\" }\n"),
        ("admin in the open", "[admin]\nlisten = \"0.0.0.0:7401\"\n"),
        ("poll too often", "[connections.stripe]\npoll = \"10 ms\"\n"),
        ("address", "[server]\nlisten = \"somewhere\"\n"),
        ("allow", "[http]\nallow = [\"10.0.0.0/8\", \"http://nas.local\"]\n"),
        ("url", "[connections.stripe]\nbase_url = \"localhost:9000\"\n"),
    ];
    let mut text = String::new();
    for (name, toml) in cases {
        let folder = project(&[("flow.toml", toml), ("a.flow", "")]);
        let outcome = flowc(folder.path(), &["check"]);
        assert_eq!(outcome.code, 1, "{name}: {}", outcome.err);
        assert!(!outcome.err.contains("abc123-plain"), "a secret is printed back: {}", outcome.err);
        text.push_str(&format!("## {name}\n{}\n", outcome.err));
    }
    insta::assert_snapshot!("flow_toml", text);
}

/// A zone that does not exist is said once, and not once more of each schedule that needs one.
#[test]
fn a_wrong_zone_is_one_mistake() {
    let flow = "every day at 09:00 do kustomer.add_note(conversation: \"c1\", text: \"x\")\n";
    let folder = project(&[("flow.toml", "timezone = \"Berlin\"\n[connections.kustomer]\norg = \"acme\"\n"), ("a.flow", flow)]);
    let outcome = flowc(folder.path(), &["check"]);
    assert!(outcome.code == 1 && outcome.err.contains("E601") && !outcome.err.contains("E603"), "{}", outcome.err);
}

#[test]
fn a_missing_secret_is_named_with_what_to_do_and_nothing_starts() {
    let toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = { env = \"FLOW_TEST_NOT_SET\" }\n[connections.kustomer]\norg = \"acme\"\n";
    let folder = project(&[("flow.toml", toml), ("a.flow", ONE_LINER)]);
    for command in ["run", "check-config"] {
        let outcome = flowd(folder.path(), &[command]);
        assert_eq!(outcome.code, 1, "{command} {outcome:?}");
        assert!(outcome.err.contains("FLOW_TEST_NOT_SET is not set"), "{outcome:?}");
        assert!(outcome.err.contains("api_key") && outcome.err.contains("[connections.kustomer]"), "{outcome:?}");
    }
}

/// Where nobody sends anything, nothing would ever be heard without the key that the service is asked with. What comes by webhook
/// needs none.
#[test]
fn a_key_without_which_nothing_would_be_heard_is_named_and_nothing_starts() {
    let listens = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    let door = "[connections.front_door]\nconnector = \"sesame\"\n";
    let cases = [
        ("[connections.referralcandy]\n", "when referralcandy.referral_confirmed do log(\"new\")\n", "the secret `access_id`"),
        (door, "when front_door.unlocked do log(\"unlocked\")\n", "the secret `api_key`"),
        (door, "when front_door is unlocked for 2 hours do log(\"unlocked\")\n", "the secret `api_key`"),
    ];
    for (section, flow, said) in cases {
        let folder = project(&[("flow.toml", &format!("{listens}{section}")), ("a.flow", flow)]);
        for command in ["run", "check-config"] {
            let outcome = flowd(folder.path(), &[command]);
            let told = outcome.err.contains(said) && outcome.err.contains("it is asked for what happens with that");
            assert!(outcome.code == 1 && told, "{section} {command}: {outcome:?}");
        }
    }
    let stripe = format!("{listens}[connections.stripe]\nwebhook_secret = {{ file = \"secret\" }}\n");
    let flow = "when stripe.charge_failed do log(\"failed\")\n";
    let folder = project(&[("flow.toml", &stripe), ("a.flow", flow), ("secret", "whsec_of_a_test")]);
    let outcome = flowd(folder.path(), &["check-config"]);
    assert!(outcome.code == 0, "{outcome:?}");
}

/// Without what a choice needs every delivery would be refused, and every request fail.
#[test]
fn what_a_choice_needs_beside_it_is_named_and_nothing_starts() {
    let listens =
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.front]\nconnector = \"http\"\n";
    let secret = "webhook_secret = { file = \"secret\" }\n";
    let flow = "when front.received do front.post(url: \"https://api.example.com\", json: { id })\n";
    let cases = [
        (format!("verify = \"hmac_sha256\"\n{secret}"), "`hmac_sha256` needs the setting `header`, which is missing"),
        ("verify = \"token\"\nheader = \"X-Token\"\n".to_owned(), "with the secret `webhook_secret`, which is missing"),
        (format!("verify = \"standard_webhooks\"\n{secret}"), "is not of the form that `standard_webhooks` needs"),
        (
            format!("verify = \"token\"\nheader = \"X-Token\"\nauth = \"header\"\ntoken = {{ file = \"secret\" }}\n{secret}"),
            "`header` needs the setting `auth_name`, which is missing",
        ),
        (
            format!("verify = \"token\"\nheader = \"X-Token\"\nauth = \"basic\"\ntoken = {{ file = \"secret\" }}\n{secret}"),
            "`basic` needs the setting `user`, which is missing",
        ),
    ];
    for (section, said) in cases {
        let folder =
            project(&[("flow.toml", &format!("{listens}{section}")), ("a.flow", flow), ("secret", "a secret, and no base64")]);
        for command in [&["run"][..], &["check-config"]] {
            let outcome = flowd(folder.path(), command);
            assert!(outcome.code == 1 && outcome.err.contains(said), "{section} {command:?}: {outcome:?}");
        }
    }
    let well = format!("{listens}verify = \"token\"\nheader = \"X-Token\"\n{secret}");
    let folder = project(&[("flow.toml", &well), ("a.flow", flow), ("secret", "a secret, and no base64")]);
    assert_eq!(flowd(folder.path(), &["check-config"]).code, 0);
}

/// The key that opens a door is for those who open it.
#[test]
fn what_only_asks_needs_no_key_for_commands() {
    let toml = "[server]\nlisten = \"127.0.0.1:0\"\n[connections.door]\nconnector = \"sesame\"\ndevice = \"D\"\napi_key = { file = \"key\" }\nmonthly_quota = 1_000_000\n";
    let asks = "let now = door.status()\nlog(\"{now.state}\")";
    for (flow, told) in [
        (format!("every 1 hour do {{\n{asks}\n}}\n"), false),
        (format!("when door.unlocked do {{\n{asks}\n}}\n"), false),
        ("every 1 hour do door.lock\n".to_owned(), true),
    ] {
        let folder = project(&[("flow.toml", toml), ("a.flow", &flow), ("key", &"k".repeat(40))]);
        let outcome = flowd(folder.path(), &["check-config"]);
        let said = outcome.err.contains("the secret `secret_key` is missing, and its actions need it");
        assert!((outcome.code == 1, said) == (told, told), "{flow}: {outcome:?}");
    }
    let folder = project(&[
        ("flow.toml", &toml.replace("api_key = { file = \"key\" }\n", "")),
        ("a.flow", &format!("every 1 hour do {{\n{asks}\n}}\n")),
    ]);
    let outcome = flowd(folder.path(), &["check-config"]);
    assert!(outcome.code == 1 && outcome.err.contains("the secret `api_key` is missing"), "{outcome:?}");
}

/// With a secret of blanks alone anybody could prove to be the sender.
#[test]
fn a_secret_of_blanks_is_empty_wherever_it_comes_from() {
    let open = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    let section = |place: &str| {
        format!(
            "{open}[connections.front]\nconnector = \"http\"\nverify = \"token\"\nheader = \"X-T\"\nwebhook_secret = {place}\n"
        )
    };
    let admin = format!("{open}token = {{ env = \"FLOW_TEST_BLANK\" }}\n");
    let flow = "when front.received do stop because \"it came\"\n";
    let cases = [
        (section("{ file = \"blank\" }"), flow),
        (section("{ env = \"FLOW_TEST_BLANK\" }"), flow),
        (section("{ credential = \"blank\" }"), flow),
        (admin, ""),
    ];
    for (toml, flow) in cases {
        let folder = project(&[("flow.toml", &toml), ("a.flow", flow), ("blank", "\u{feff} \t\r\n")]);
        let credentials = format!("CREDENTIALS_DIRECTORY={}", folder.path().display());
        let outcome = flowd_with_env(folder.path(), &["run"], &["FLOW_TEST_BLANK= \t", &credentials]);
        assert!(outcome.code == 1 && outcome.err.contains("it is empty"), "{toml}: {outcome:?}");
    }
}

#[test]
fn a_public_address_that_no_service_takes_is_a_warning() {
    for (url, said) in [
        ("http://hooks.example.org", "is no https address"),
        ("https://localhost:7400", "leads to localhost, which no service can reach"),
        ("https://hooks.example.org/flow", ""),
    ] {
        let toml = format!("[server]\npublic_url = \"{url}\"\n[connections.stripe]\nkey = {{ env = \"TEST_STRIPE_KEY\" }}\n");
        let folder = project(&[("flow.toml", &toml), ("a.flow", "when stripe.charge_failed do { stop because \"seen\" }\n")]);
        let outcome = flowd(folder.path(), &["check-config"]);
        assert!(outcome.code == 0 && outcome.out.contains("registered by flowd"), "{outcome:?}");
        assert!(outcome.err.contains(said) && outcome.err.contains("public_url") != said.is_empty(), "{url}: {outcome:?}");
    }
}

#[test]
fn a_broken_flow_does_not_start() {
    let folder = project(&[("a.flow", "when stripe.charge_failed where amuont > 1 do kustomer.create_conversation\n")]);
    let outcome = flowd(folder.path(), &["run", "--sandbox"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("E201"), "{outcome:?}");
}

#[test]
fn an_unused_connection_is_a_warning() {
    let folder = project(&[
        ("flow.toml", "[connections.stripe]\n[connections.kustomer]\n[connections.second]\nconnector = \"stripe\"\n"),
        ("a.flow", ONE_LINER),
    ]);
    let outcome = flowc(folder.path(), &["check"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.err.contains("W706") && outcome.err.contains("`second`"), "{outcome:?}");
    assert_eq!(flowc(folder.path(), &["check", "--deny-warnings"]).code, 1);
}

/// Each of these is told apart by its address alone, which nobody signs.
#[test]
fn connections_with_one_webhook_secret_are_named_and_the_secret_is_not() {
    let boxes = |second: &str| {
        let listens = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
        let of = |name: &str, rest: &str| format!("[connections.{name}]\nconnector = \"http\"\n{rest}\n");
        let verified = |name: &str, file: &str| {
            of(name, &format!("verify = \"standard_webhooks\"\nwebhook_secret = {{ file = \"{file}\" }}"))
        };
        let toml =
            format!("{listens}{}{}{}", verified("front", "one"), verified("back", second), of("open", "verify = \"none\""));
        // The same one, once as the sender shows it and once without what says its kind.
        let secrets = [
            ("one", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            ("same", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            ("other", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        ];
        let flow = "when front.received do { stop because \"front\" }\n";
        let mut files = vec![("flow.toml", toml.as_str()), ("a.flow", flow)];
        files.extend(secrets);
        project(&files)
    };
    let shared = "the webhooks of the connections `back`, `front` have the same secret";
    let folder = boxes("same");
    for command in [&["check-config"][..], &["run", "--once"]] {
        let outcome = flowd(folder.path(), command);
        assert_eq!(outcome.code, 0, "{command:?} {outcome:?}");
        assert!(outcome.err.contains(shared) && !outcome.err.contains("`open`"), "{command:?} {outcome:?}");
        assert!(!format!("{outcome:?}").contains("MfKQ9r8GKYqr"), "{outcome:?}");
    }
    let outcome = flowd(boxes("other").path(), &["check-config"]);
    assert!(outcome.code == 0 && !outcome.err.contains("the same secret"), "{outcome:?}");
}

#[test]
fn the_currency_of_the_project_counts_for_amounts_without_one() {
    let folder = project(&[
        ("flow.toml", "currency = \"EUR\"\n[connections.stripe]\n[connections.kustomer]\n"),
        ("a.flow", "when stripe.charge_failed where amount > 99.999 do kustomer.create_conversation\n"),
    ]);
    let outcome = flowc(folder.path(), &["check"]);
    assert!(outcome.err.contains("E312"), "{outcome:?}");
}
