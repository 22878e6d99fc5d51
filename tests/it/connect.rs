//! `flowd connect` and `flowd check-config`: what is asked, tried and written down, against the emulated services.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, ONE_LINER, STRIPE_KEY};
use crate::support::program::{flowc, flowd, flowd_with, project};
use crate::support::recorder::{Recorder, raw};
use crate::support::sandbox::Emulators;

/// The key that the emulated Stripe takes.
fn key() -> &'static str {
    flow_sandbox::Sandbox::secrets("stripe").iter().find(|(name, _)| *name == "key").unwrap().1
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap_or_default()
}

const TOML: &str = "# The shop.\ntimezone = \"Europe/Paris\" # where we are\n\n[run]\nconcurrency = 8\n";

#[test]
fn a_key_on_standard_input_is_tried_and_written_down_for_its_owner_alone() {
    let emulators = Emulators::start();
    let folder = project(&[("flow.toml", TOML), ("a.flow", "when stripe.charge_failed do log_it()\n")]);
    let url = emulators.base_url("stripe");
    let connect = ["connect", "stripe", "--base-url", &url];
    let outcome = flowd_with(folder.path(), &connect, format!("{}\n", key()).as_bytes());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("GET /v1/account works: acct_"), "{outcome:?}");
    assert!(outcome.err.contains("`sk_…` or `rk_…`") && outcome.err.contains("public_url"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(key()), "{outcome:?}");
    let toml = read(folder.path(), "flow.toml");
    let section = format!("[connections.stripe]\nbase_url = \"{url}\"\nkey = {{ file = \"secrets/stripe_key\" }}\n");
    assert_eq!(toml, format!("{TOML}\n{section}"));
    let file = folder.path().join("secrets/stripe_key");
    assert_eq!((read(folder.path(), "secrets/stripe_key").as_str(), mode(&file)), (key(), 0o600));
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(read(folder.path(), "secrets/.gitignore"), "*\n");
    // Once more: nothing is asked, nothing changes.
    let again = flowd_with(folder.path(), &["connect", "stripe"], b"");
    assert!(again.code == 0 && again.err.contains("key: kept, in the file secrets/stripe_key"), "{again:?}");
    assert!(again.out.contains("works") && again.out.contains("flow.toml stays as it is"), "{again:?}");
    assert_eq!(read(folder.path(), "flow.toml"), toml);
}

#[test]
fn what_does_not_work_is_not_written_down() {
    let emulators = Emulators::start();
    let url = emulators.base_url("stripe");
    let none = "127.0.0.1:1";
    let cases: [(&str, &str, &str); 5] = [
        ("a wrong key", "sk_test_wrong", "the credentials are refused: 401"),
        ("a key for browsers", "pk_test_1", "begins with `sk_` or `rk_`, and this does not"),
        ("nothing", "", "`key` of Stripe is missing"),
        ("nobody there", "sk_test_1", "does not answer: could not connect"),
        ("two lines in one", "sk_test_1\u{1b}[2J", "holds a control character"),
    ];
    for (name, typed, said) in cases {
        let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
        let nobody = format!("http://{none}");
        let url = if name == "nobody there" { &nobody } else { &url };
        let outcome = flowd_with(folder.path(), &["connect", "stripe", "--base-url", url], format!("{typed}\n").as_bytes());
        assert_eq!(outcome.code, 1, "{name}: {outcome:?}");
        let all = format!("{}{}", outcome.out, outcome.err);
        assert!(all.contains(said) && all.contains("nothing was written"), "{name}: {outcome:?}");
        assert!(typed.is_empty() || !all.contains(typed), "{name}: {outcome:?}");
        assert_eq!(read(folder.path(), "flow.toml"), TOML, "{name}");
        assert!(!folder.path().join("secrets").exists(), "{name}");
    }
    // Who says so gets it written all the same.
    let folder = project(&[("a.flow", "")]);
    let unchecked = ["connect", "stripe", "--base-url", &url, "--no-check"];
    assert_eq!(flowd_with(folder.path(), &unchecked, b"sk_test_wrong").code, 0);
    assert_eq!(read(folder.path(), "secrets/stripe_key"), "sk_test_wrong");
    assert!(read(folder.path(), "flow.toml").contains("[connections.stripe]\n"));
    // `--renew` puts another in its place; without it the one that is there is tried again.
    assert_eq!(flowd_with(folder.path(), &["connect", "stripe"], b"").code, 1);
    let renewed = flowd_with(folder.path(), &["connect", "stripe", "--renew"], key().as_bytes());
    assert_eq!(renewed.code, 0, "{renewed:?}");
    assert_eq!(read(folder.path(), "secrets/stripe_key"), key());
}

#[test]
fn scripts_give_settings_and_name_variables() {
    let emulators = Emulators::start();
    let url = emulators.base_url("kustomer");
    let folder = project(&[("a.flow", "when support.conversation_created do { stop because \"seen\" }\n")]);
    let connect = |args: &[&str], input: &[u8]| {
        flowd_with(folder.path(), &[&["connect", "support", "--connector", "kustomer", "--base-url", &url], args].concat(), input)
    };
    for (args, code, said) in [
        (&["--set", "api_key=x1y2z3"][..], 2, "others can read a command line"),
        (&["--set", "organisation=acme"], 2, "Kustomer has no setting `organisation`; it has: org"),
        (&["--set", "org"], 2, "a name and a value belong together"),
        (&["--secret-from-env", "key=TEST_KUSTOMER_KEY"], 2, "Kustomer has no secret `key`; it has: api_key, webhook_secret"),
        (&["--secret-from-env", "api_key=NOT_SET_ANYWHERE"], 1, "the environment variable NOT_SET_ANYWHERE is not set"),
    ] {
        let outcome = connect(args, b"");
        assert!(outcome.code == code && outcome.err.contains(said), "{args:?}: {outcome:?}");
        assert!(!outcome.err.contains("x1y2z3"), "{outcome:?}");
        assert!(!folder.path().join("flow.toml").exists());
    }
    // The key of the tests is not that of the emulator.
    let outcome = connect(&["--secret-from-env", "api_key=TEST_KUSTOMER_KEY"], b"");
    assert!(outcome.code == 1 && outcome.out.contains("the credentials are refused"), "{outcome:?}");
    let outcome = connect(&["--set", "org=acme", "--by-env", "api_key=TEST_KUSTOMER_KEY", "--no-check"], b"");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let toml = read(folder.path(), "flow.toml");
    let section = format!(
        "[connections.support]\nconnector = \"kustomer\"\nbase_url = \"{url}\"\norg = \"acme\"\napi_key = {{ env = \"TEST_KUSTOMER_KEY\" }}\n"
    );
    assert_eq!(toml, section);
    assert!(!folder.path().join("secrets").exists());
    assert_eq!(flowc(folder.path(), &["check"]).code, 0);
    // It is a connection of that connector from now on.
    let other = flowd_with(folder.path(), &["connect", "support", "--connector", "stripe"], b"sk_test_1\n");
    assert!(other.code == 1 && other.err.contains("is a connection of kustomer already"), "{other:?}");
}

#[test]
fn what_cannot_be_set_up_is_said() {
    let folder = project(&[("a.flow", "")]);
    for (args, code, said) in [
        (&["connect", "strpe"][..], 1, "there is no connector `strpe`"),
        (&["connect", "Stripe"], 2, "it is lower case"),
        (&["connect", "flow"], 2, "cannot be the name of a connection"),
        (&["connect", "front_door"], 1, "name it with --connector"),
        (&["connect", "stripe", "nowhere"], 2, "nowhere cannot be read: it is not there"),
    ] {
        let outcome = flowd_with(folder.path(), args, b"sk_test_1\n");
        assert!(outcome.code == code && outcome.err.contains(said), "{args:?}: {outcome:?}");
    }
    // What is no TOML, and what is wrong elsewhere in it, is left as it is, and said before anything is asked. A secret in it is
    // not repeated.
    for broken in [
        "[connections\nkey = \"sk_live_51HxSecretSecret\"\n",
        "[server]\nlistn = \"x\"\n",
        "connections = [1]\n",
        "[[connections.stripe]]\nkey = 1\n",
        "[connections.other]\nconnector = \"nope\"\n",
    ] {
        let folder = project(&[("flow.toml", broken), ("a.flow", "")]);
        let outcome = flowd_with(folder.path(), &["connect", "stripe", "--no-check"], b"sk_test_1\n");
        assert!(outcome.code == 1 && !outcome.err.contains("51HxSecret"), "{outcome:?}");
        assert!(!outcome.err.contains("key: "), "{outcome:?}");
        assert_eq!(read(folder.path(), "flow.toml"), broken);
        assert!(!folder.path().join("secrets").exists());
    }
}

/// A connector of the project's own, with a service that says no in a success, and one part that nobody has a key for.
#[test]
fn a_connector_of_ones_own_is_set_up_as_any_other() {
    let emulators = Emulators::start();
    let own = "connector ledger \"Ledger\" {\n  secret token \"Ledger > Settings\"\n  secret extra\n  ## Where you are.\n  setting region: eu | us = \"eu\"\n  setting site: text\n  base \"https://ledger.example\"\n  auth bearer(token)\n  check { GET \"/v1/account\" query { site } at \"country\" refused unless \"country\" is \"US\" }\n  check { GET \"/v1/account\" header \"X-Extra\" extra }\n}\n";
    let folder = project(&[("own.flow", own)]);
    let url = emulators.base_url("stripe");
    let connect = ["connect", "ledger", "--base-url", &url, "--set", "region=us"];
    // The emulator refuses a parameter that it does not know: that is no matter of the key.
    let outcome = flowd_with(folder.path(), &connect, format!("{}\n\nmain\n", key()).as_bytes());
    assert!(outcome.code == 1 && outcome.out.contains("does not work: 400"), "{outcome:?}");
    std::fs::write(folder.path().join("own.flow"), own.replace(" query { site }", "")).unwrap();
    let outcome = flowd_with(folder.path(), &connect, format!("{}\n\nmain\n", key()).as_bytes());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("works: US") && outcome.out.contains("was not asked, since extra is not there"), "{outcome:?}");
    let toml = read(folder.path(), "flow.toml");
    assert!(toml.contains("region = \"us\"\nsite = \"main\"\ntoken = { file = \"secrets/ledger_token\" }\n"), "{toml}");
    std::fs::write(folder.path().join("own.flow"), own.replace(" query { site }", "").replace("\"US\"", "\"FR\"")).unwrap();
    let refused = flowd_with(folder.path(), &["connect", "ledger"], b"");
    assert!(refused.code == 1 && refused.out.contains("does not work: 200"), "{refused:?}");
}

/// Answers prompts of flowd on a terminal. Returns what the terminal showed, and the exit code.
fn on_a_terminal(folder: &Path, args: &str, answers: &[(&str, &str)]) -> (String, i32) {
    let lines: Vec<(&str, String)> = answers.iter().map(|(prompt, answer)| (*prompt, format!("{answer}\n"))).collect();
    typed_on_a_terminal(folder, &format!("{} {args}", env!("CARGO_BIN_EXE_flowd")), &lines)
}

/// The same of any command, and of whatever keys.
fn typed_on_a_terminal(folder: &Path, command: &str, answers: &[(&str, String)]) -> (String, i32) {
    let mut child = Command::new("timeout")
        .args(["300", "script", "-qec", command, "/dev/null"])
        .current_dir(folder)
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = String::new();
    let mut from = 0;
    let mut buffer = [0; 4096];
    for (prompt, answer) in answers {
        // Typed as soon as it is asked for, and not before: what comes earlier is shown by the terminal itself.
        while !seen[from..].contains(prompt) {
            let read = shown.read(&mut buffer).unwrap();
            assert!(read > 0, "`{prompt}` is never asked: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        from = seen.len();
        typed.write_all(answer.as_bytes()).unwrap();
    }
    // The keyboard stays: one that is taken away is an end of the input, which may be noticed before the last key.
    let mut rest = Vec::new();
    let _ = shown.read_to_end(&mut rest);
    drop(typed);
    seen.push_str(&String::from_utf8_lossy(&rest));
    (seen, child.wait().unwrap().code().unwrap_or(-1))
}

#[test]
fn on_a_terminal_a_secret_is_not_shown_and_a_slip_is_asked_again() {
    let emulators = Emulators::start();
    let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
    let args = format!("connect stripe --base-url {}", emulators.base_url("stripe"));
    // What need not be said comes last; a key that is pasted there is shown by the terminal, and taken by nobody.
    let again = "rk_live_pasted_where_it_shows";
    let answers = [
        ("key: ", "pk_test_public"),
        ("key: ", key()),
        ("account (text) [none]: ", again),
        ("account (text) [none]: ", "acct_7"),
    ];
    let (shown, code) = on_a_terminal(folder.path(), &args, &answers);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.matches(again).count() == 1 && shown.contains("begins as a secret does"), "{shown}");
    let toml = read(folder.path(), "flow.toml");
    assert!(!toml.contains(again) && toml.contains("account = \"acct_7\""), "{toml}");
    assert!(!shown.contains(key()) && !shown.contains("pk_test_public"), "{shown}");
    assert!(shown.contains("begins with `sk_` or `rk_`") && shown.contains("works: acct_"), "{shown}");
    assert_eq!(read(folder.path(), "secrets/stripe_key"), key());
}

/// Whoever interrupts has nothing half written, and a terminal that shows again what is typed.
#[test]
fn an_interrupted_prompt_leaves_nothing_behind() {
    let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
    for (keys, code) in [("\u{3}", 130), ("\u{4}", 2)] {
        for (prompts, what) in [(&[][..], "key: "), (&[("key: ", "sk_test_1\n")][..], "account (text) [none]: ")] {
            let command = format!(
                "trap : INT; {} connect stripe --no-check; echo code=$?; stty -a | grep -o -- '[^a-z]*echo;'; stty -a | grep -o -- '-*echo '",
                env!("CARGO_BIN_EXE_flowd")
            );
            let mut answers: Vec<(&str, String)> = prompts.iter().map(|(prompt, text)| (*prompt, (*text).to_owned())).collect();
            answers.push((what, keys.to_owned()));
            let (shown, _) = typed_on_a_terminal(folder.path(), &command, &answers);
            assert!(shown.contains(&format!("code={code}")), "{keys:?} at {what}: {shown}");
            assert!(shown.contains("echo ") && !shown.contains("-echo "), "{keys:?} at {what}: {shown}");
            assert_eq!(read(folder.path(), "flow.toml"), TOML);
            assert!(!folder.path().join("secrets").exists());
        }
    }
}

#[test]
fn what_comes_along_with_a_copied_key_is_left_out() {
    let copied = |typed: &str| {
        let folder = project(&[("a.flow", "")]);
        let outcome = flowd_with(folder.path(), &["connect", "stripe", "--no-check"], typed.as_bytes());
        (outcome.code, read(folder.path(), "secrets/stripe_key"), outcome)
    };
    for typed in [
        "sk_test_1\r\n",
        "  sk_test_1\t\n",
        "\"sk_test_1\"\n",
        "'sk_test_1'\r\n",
        "\u{feff}sk_test_1\n",
        "sk_test_1\u{200b}\n",
        "sk_test_1",
    ] {
        let (code, kept, outcome) = copied(typed);
        assert_eq!((code, kept.as_str()), (0, "sk_test_1"), "{typed:?}: {outcome:?}");
    }
    for (typed, said) in [
        ("sk_test_\u{200b}1\n", "a character that nobody sees"),
        ("sk_test_1 sk_test_2\n", "has a blank in it"),
        ("STRIPE_KEY=sk_test_1\n", "begins with `sk_` or `rk_`"),
        ("\n", "is missing"),
    ] {
        let (code, kept, outcome) = copied(typed);
        assert!(code == 1 && kept.is_empty() && outcome.err.contains(said), "{typed:?}: {outcome:?}");
    }
    // On the command line others can read it, whatever setting it was meant for.
    let folder = project(&[("a.flow", "")]);
    let given = flowd_with(folder.path(), &["connect", "stripe", "--set", "account=sk_live_given"], b"sk_test_1\n");
    assert!(given.code == 2 && !given.err.contains("sk_live_given") && given.err.contains("begins as a secret"), "{given:?}");
}

#[test]
fn flow_toml_stays_what_it_is_a_link_or_lines_of_another_system() {
    let connect = ["connect", "stripe", "--no-check"];
    let folder = project(&[("etc/real.toml", "# Ours.\r\n[run]\r\nconcurrency = 8\r\n"), ("shop/a.flow", "")]);
    let shop = folder.path().join("shop");
    std::os::unix::fs::symlink("../etc/real.toml", shop.join("flow.toml")).unwrap();
    let outcome = flowd_with(&shop, &connect, b"sk_test_1\n");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(shop.join("flow.toml").is_symlink());
    assert_eq!(
        read(folder.path(), "etc/real.toml"),
        "# Ours.\r\n[run]\r\nconcurrency = 8\r\n\r\n[connections.stripe]\r\nkey = { file = \"secrets/stripe_key\" }\r\n"
    );
    // One that leads nowhere is not written through.
    std::fs::remove_file(folder.path().join("etc/real.toml")).unwrap();
    let outcome = flowd_with(&shop, &["connect", "kustomer", "--no-check", "--set", "org=acme"], b"k1\n");
    assert!(outcome.code == 2 && outcome.err.contains("cannot be read"), "{outcome:?}");
    // For reading alone: neither it nor a secret is written.
    let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
    let toml = folder.path().join("flow.toml");
    std::fs::set_permissions(&toml, std::fs::Permissions::from_mode(0o444)).unwrap();
    let outcome = flowd_with(folder.path(), &connect, b"sk_test_1\n");
    assert!(outcome.code == 2 && outcome.err.contains("it is for reading alone; nothing was written"), "{outcome:?}");
    assert!(read(folder.path(), "flow.toml") == TOML && !folder.path().join("secrets/stripe_key").exists());
}

/// What stands where secrets are to go may be anything: nothing is written half, and nothing of somebody else's is touched.
#[test]
fn odd_places_for_secrets_are_said_and_nothing_is_left_behind() {
    let connect = |folder: &Path| flowd_with(folder, &["connect", "stripe", "--no-check"], b"sk_test_1\n");
    let link = |to: &str, at: &Path| std::os::unix::fs::symlink(to, at).unwrap();
    let set_mode = |at: &Path, mode: u32| std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode)).unwrap();
    for (said, prepare) in [
        ("secrets is no folder", &(|root: &Path| std::fs::write(root.join("secrets"), "notes").unwrap()) as &dyn Fn(&Path)),
        ("secrets is no folder", &|root| link("nowhere", &root.join("secrets"))),
        ("it is a folder", &|root| std::fs::create_dir_all(root.join("secrets/stripe_key")).unwrap()),
        ("it is a link to ../elsewhere", &|root| {
            std::fs::create_dir(root.join("secrets")).unwrap();
            link("../elsewhere", &root.join("secrets/stripe_key"));
        }),
    ] {
        let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
        prepare(folder.path());
        let outcome = connect(folder.path());
        assert!(outcome.code == 1 && outcome.err.contains(said) && outcome.err.contains("nothing was written"), "{outcome:?}");
        assert!(read(folder.path(), "flow.toml") == TOML && !folder.path().join("elsewhere").exists(), "{said}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| ["secrets", "flow.toml", "a.flow"].iter().any(|known| name == known)), "{left:?}");
    }
    // What anybody may look into is made what it should be, but where a link leads there.
    let folder = project(&[("flow.toml", TOML), ("a.flow", ""), ("secrets/stripe_key", "sk_test_old")]);
    let (secrets, file) = (folder.path().join("secrets"), folder.path().join("secrets/stripe_key"));
    set_mode(&secrets, 0o777);
    set_mode(&file, 0o644);
    assert_eq!(connect(folder.path()).code, 0);
    assert_eq!((mode(&secrets), mode(&file), read(folder.path(), "secrets/stripe_key").as_str()), (0o700, 0o600, "sk_test_1"));
    set_mode(&file, 0o640);
    let kept = connect(folder.path());
    assert!(
        kept.code == 0 && kept.err.contains("others than its owner may read the file secrets/stripe_key (mode 640)"),
        "{kept:?}"
    );
    let folder = project(&[("flow.toml", TOML), ("a.flow", ""), ("shared/other", "x")]);
    set_mode(&folder.path().join("shared"), 0o755);
    link("shared", &folder.path().join("secrets"));
    assert_eq!(connect(folder.path()).code, 0);
    assert_eq!((mode(&folder.path().join("shared")), mode(&folder.path().join("shared/stripe_key"))), (0o755, 0o600));
}

/// A write that the system does not let through to its end, here for a limit of the size of files.
#[test]
fn a_write_that_fails_leaves_nothing_behind() {
    let long = format!("{TOML}{}", "# A line of many that say much.\n".repeat(100));
    let folder = project(&[("flow.toml", &long), ("a.flow", "")]);
    let limited = |command: &str| {
        let command = format!("ulimit -f 2; {} {command}", env!("CARGO_BIN_EXE_flowd"));
        let mut child = Command::new("sh")
            .args(["-c", &command])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"sk_test_1\n").unwrap();
        child.wait_with_output().unwrap()
    };
    let outcome = limited("connect stripe --no-check");
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(
        outcome.status.code() == Some(2) && said.contains("flow.toml cannot be written: this process may write no file"),
        "{said}"
    );
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(left.len() == 2 && read(folder.path(), "flow.toml") == long, "{left:?}");
    // The key of before stays where another one cannot be written down with its section.
    let before = format!("{long}[connections.stripe]\nkey = {{ file = \"secrets/stripe_key\" }}\n");
    std::fs::write(folder.path().join("flow.toml"), &before).unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/stripe_key"), "sk_test_old").unwrap();
    let outcome = limited("connect stripe --no-check --renew --set account=acct_1");
    assert_eq!(outcome.status.code(), Some(2), "{}", String::from_utf8_lossy(&outcome.stderr));
    assert_eq!((read(folder.path(), "flow.toml"), read(folder.path(), "secrets/stripe_key")), (before, "sk_test_old".to_owned()));
}

/// Where the form of a secret is known, what has another one is not taken: no request would tell.
#[test]
fn a_secret_of_another_form_is_asked_for_again() {
    let connect = |typed: &str| {
        let folder = project(&[("a.flow", "")]);
        let args = ["connect", "sesame", "--no-check", "--set", "device=488ABAAB-164F-7A86-595F-DDD778CB86C3"];
        let outcome = flowd_with(folder.path(), &args, format!("k\n{typed}\n").as_bytes());
        assert!(typed.is_empty() || !format!("{outcome:?}").contains(typed), "{outcome:?}");
        (outcome.code, read(folder.path(), "secrets/sesame_secret_key"), outcome.err)
    };
    let digits = "00112233445566778899aabbccDDEEFF";
    for (typed, kept) in [(digits, digits), (&format!("'{digits}'"), digits), ("", "")] {
        let (code, found, said) = connect(typed);
        assert_eq!((code, found.as_str()), (0, kept), "{said}");
    }
    for (typed, said) in [
        (&digits[..30], "is 32 hexadecimal digits, and this is 30"),
        (&format!("{digits}00"), "and this is 34"),
        ("488ABAAB-164F-7A86-595F-DDD778CB86C3", "has other characters"),
        ("ABEiM0RVZneImaq7zN3u/w==", "has other characters"),
        ("0011223344556677 8899aabbccddeeff", "has other characters"),
    ] {
        let (code, found, told) = connect(typed);
        assert!(code == 1 && found.is_empty() && told.contains(said) && told.contains("nothing was written"), "{typed}: {told}");
    }
    // One that stands in a file already is warned of.
    let toml = "[connections.sesame]\ndevice = \"D\"\napi_key = { file = \"k\" }\nsecret_key = { file = \"k\" }\n";
    let folder = project(&[("flow.toml", toml), ("a.flow", ""), ("k", "0011")]);
    std::fs::set_permissions(folder.path().join("k"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let told = flowd(folder.path(), &["check-config"]);
    assert!(
        told.code == 0 && told.err.contains("the secret `secret_key`: it is 32 hexadecimal digits, and this is 4"),
        "{told:?}"
    );
    // A person is asked again.
    let folder = project(&[("a.flow", "")]);
    let answers = [("api_key: ", "k"), ("secret_key [none]: ", "0011"), ("secret_key [none]: ", digits), ("[none]: ", "")];
    let (shown, code) = on_a_terminal(folder.path(), "connect sesame --no-check --set device=D", &answers);
    assert!(code == 0 && !shown.contains(digits) && shown.contains("and this is 4"), "{shown}");
    assert_eq!(read(folder.path(), "secrets/sesame_secret_key"), digits);
}

/// One is at its prompt while the other is set up: both are there afterwards.
#[test]
fn two_at_once_take_nothing_from_each_other() {
    let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_flowd"))
        .args(["connect", "stripe", "--no-check"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut typed, mut shown) = (waiting.stdin.take().unwrap(), waiting.stderr.take().unwrap());
    let (mut seen, mut byte) = (String::new(), [0; 1]);
    while !seen.ends_with("key: ") {
        assert_eq!(shown.read(&mut byte).unwrap(), 1, "{seen}");
        seen.push(char::from(byte[0]));
    }
    let other = flowd_with(folder.path(), &["connect", "kustomer", "--no-check", "--set", "org=acme"], b"a-key-of-kustomer\n");
    assert_eq!(other.code, 0, "{other:?}");
    typed.write_all(b"sk_test_1\n").unwrap();
    drop(typed);
    assert!(waiting.wait().unwrap().success());
    let toml = read(folder.path(), "flow.toml");
    assert!(toml.starts_with(TOML) && toml.contains("[connections.stripe]") && toml.contains("[connections.kustomer]"), "{toml}");
}

/// Answers of a service to whom a key is none, or that is none at all.
#[test]
fn what_a_service_answers_is_said_and_nothing_is_written() {
    let whole = |status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str| {
        Recorder::start_raw(move |_, _| Some(raw(status, headers, body)))
    };
    for (server, said) in [
        (
            whole(401, &[], r#"{"error":{"message":"Invalid API Key provided: sk_test_****"}}"#),
            "the credentials are refused: 401",
        ),
        (whole(500, &[], "oops"), "does not answer: 500"),
        (whole(429, &[], "{}"), "no calls are left for the moment: 429"),
        (whole(200, &[("content-type", "text/html")], "<html>sign in</html>"), "the answer does not fit"),
        (whole(200, &[], ""), "the answer does not fit: it is empty"),
        (whole(302, &[("location", "https://elsewhere.example/")], ""), "redirects are not followed"),
    ] {
        let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
        let outcome = flowd_with(folder.path(), &["connect", "stripe", "--base-url", &server.url], b"sk_test_1\n");
        let all = format!("{}{}", outcome.out, outcome.err);
        assert!(outcome.code == 1 && all.contains(said) && all.contains("nothing was written"), "{said}: {outcome:?}");
        assert!(read(folder.path(), "flow.toml") == TOML && !folder.path().join("secrets").exists(), "{said}");
    }
}

#[test]
fn each_kind_of_secret_is_tried_and_what_cannot_be_is_said() {
    let server = Recorder::start(|request, _| {
        Some(match request.line().as_str() {
            "GET /api/auth.test" => (200, json!({ "ok": true, "team": "Acme" })),
            "GET /v1/account" if request.header("authorization").is_none_or(|it| it == "Bearer tk_good") => {
                (200, json!({ "username": "ann" }))
            }
            "GET /api/webhooks/1/secret" => (200, json!({ "id": "1", "name": "Shop" })),
            "GET /v1/models" => (200, json!({ "data": [{ "id": "small" }] })),
            _ => (401, json!({ "error": "unauthorized" })),
        })
    });
    let hook = format!("{}/api/webhooks/1/secret\n", server.url);
    for (connector, typed, code, said) in [
        (
            "slack",
            "https://hooks.slack.com/services/T/B/x\n\n",
            0,
            "was not asked, since token is not there; without it nothing can be asked",
        ),
        ("slack", "\nxoxb-1\n", 0, "GET /auth.test works: Acme"),
        ("slack", "\n\n", 1, "Slack needs one of webhook_url, token; nothing was written"),
        ("discord", &hook, 0, "GET … works: Shop"),
        ("ntfy", "\n", 0, "GET /v1/account works: ann"),
        ("ntfy", "tk_good\n", 0, "GET /v1/account works: ann"),
        ("ntfy", "tk_bad\n", 1, "the credentials are refused: 401: unauthorized"),
        ("ai", "\n", 0, "GET /models works: small"),
        ("webhook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0, "its connector names no check"),
    ] {
        let folder = project(&[("a.flow", "")]);
        let outcome = flowd_with(folder.path(), &["connect", connector, "--base-url", &server.url], typed.as_bytes());
        let all = format!("{}{}", outcome.out, outcome.err);
        assert!(outcome.code == code && all.contains(said), "{connector} {typed:?}: {outcome:?}");
        assert!(!all.contains("webhooks/1/secret") && !all.contains("tk_bad"), "{outcome:?}");
        assert_eq!(read(folder.path(), "flow.toml").contains(&format!("[connections.{connector}]")), code == 0);
    }
}

#[test]
fn systemd_creds_encrypts_or_nothing_is_written() {
    let folder = project(&[("flow.toml", TOML), ("a.flow", "")]);
    let outcome = flowd_with(folder.path(), &["connect", "stripe", "--no-check", "--systemd-creds"], b"sk_test_1\n");
    let file = folder.path().join("secrets/stripe_key.cred");
    if outcome.code == 0 {
        // A machine with systemd and a key of its own.
        assert!(!read(folder.path(), "secrets/stripe_key.cred").contains("sk_test_1") && mode(&file) == 0o600);
        assert!(read(folder.path(), "flow.toml").contains("key = { credential = \"stripe_key\" }\n"));
        assert!(outcome.out.contains("LoadCredentialEncrypted=stripe_key:"), "{outcome:?}");
    } else {
        assert!(outcome.err.contains("systemd-creds cannot encrypt it"), "{outcome:?}");
        assert!(!file.exists() && read(folder.path(), "flow.toml") == TOML);
    }
}

#[test]
fn a_running_daemon_takes_the_connection() {
    let emulators = Emulators::start();
    let listens =
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.kustomer]\norg = \"acme\"\n";
    let daemon = Daemon::start(&[("flow.toml", listens), ("a.flow", "")]);
    let url = emulators.base_url("stripe");
    let outcome = flowd_with(daemon.path(), &["connect", "stripe", "--base-url", &url], key().as_bytes());
    assert!(outcome.code == 0 && outcome.err.contains("the running flowd has taken it"), "{outcome:?}");
    let names: Vec<Value> =
        daemon.get("status")["connections"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["kustomer", "stripe"]);
}

#[test]
fn check_config_says_of_each_connection_what_it_has_and_lacks() {
    let emulators = Emulators::start();
    let (stripe, kustomer) = (emulators.base_url("stripe"), emulators.base_url("kustomer"));
    let toml = format!(
        "[connections.stripe]\nkey = {{ file = \"secrets/key\" }}\nbase_url = \"{stripe}\"\n\n[connections.kustomer]\napi_key = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{kustomer}\"\n\n[connections.spare]\nconnector = \"stripe\"\nkey = {{ env = \"NOT_SET_ANYWHERE\" }}\n"
    );
    let folder = project(&[("flow.toml", &toml), ("a.flow", ONE_LINER), ("secrets/key", key())]);
    std::fs::set_permissions(folder.path().join("secrets/key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let offline = flowd(folder.path(), &["check-config"]);
    assert_eq!(offline.code, 0, "{offline:?}");
    assert!(offline.err.contains("others than its owner may read the file secrets/key (mode 644): chmod 600"), "{offline:?}");
    assert!(offline.out.contains("used             by no flow"), "{offline:?}");
    assert!(
        offline.out.contains("the environment variable NOT_SET_ANYWHERE: the environment variable NOT_SET_ANYWHERE is not set"),
        "{offline:?}"
    );
    assert!(!offline.out.contains("asked"), "nobody was asked: {offline:?}");
    // The key of the tests is not that of the emulated Kustomer, which says so; Stripe's is.
    let online = flowd(folder.path(), &["check-config", "--online", "--json"]);
    assert_eq!(online.code, 1, "{online:?}");
    let json: Value = serde_json::from_str(&online.out).unwrap();
    let one = |name: &str| json["connections"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(one("stripe")["checks"][0]["finding"], "works");
    assert_eq!((&one("kustomer")["checks"][0]["finding"], &one("kustomer")["used"]), (&json!("refused"), &json!(true)));
    assert_eq!(one("spare")["checks"][0]["finding"], "not_asked");
    assert_eq!(one("spare")["secrets"][0]["there"], false);
    assert!(json["problems"][0].as_str().unwrap().starts_with("connection kustomer: GET /auth/tokens/current does not work"));
    let told = flowd(folder.path(), &["check-config", "--online"]);
    assert!(told.code == 1 && told.out.contains("GET /v1/account works: acct_"), "{told:?}");
    assert!(!told.out.contains(STRIPE_KEY) && !told.out.contains(key()), "{told:?}");
}
