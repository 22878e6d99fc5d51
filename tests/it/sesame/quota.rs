//! The calls of a key by the month: what polls may use of them, how often they come then, and what is left for commands.

use super::*;

#[test]
fn polls_slow_down_to_be_seen_and_commands_go_on() {
    let emulators = Emulators::start();
    emulators.happen("sesame", &json!({ "type": "quota", "limit": 100_000 }));
    let mut toml = toml(&emulators).replace("monthly_quota = 100_000_000", "monthly_quota = 40");
    toml.push_str(&format!(
        "\n[connections.back_door]\nconnector = \"sesame\"\nmonthly_quota = 40\n{}",
        emulators.settings("sesame")
    ));
    // Of the back door two things are known, and one request tells both; of the front door as well.
    let flow = format!(
        "{LET_IN}\nwhen front_door.locked do stop\n\nwhen front_door.battery_low or back_door.battery_low or back_door.offline do stop\n"
    );
    let daemon = start(&toml, &flow);
    let slow = eventually("polls are slowed down", || {
        let polls = connection(&daemon)["quota"]["polls"].clone();
        (polls["every_ms"].as_u64()? > polls["set_every_ms"].as_u64()?).then_some(polls)
    });
    assert_eq!((&slow["may_use"], &slow["readings"], &slow["set_every_ms"]), (&json!(32), &json!(2), &json!(150)), "{slow:#}");
    let used = connection(&daemon)["quota"]["used"].as_u64().unwrap();
    assert_eq!(slow["left"].as_u64().unwrap(), 32 - used, "{slow:#}");
    // 32 calls for two readings: each every 44 hours and more, by the length of the month.
    let whole = slow["whole_month_ms"].as_u64().unwrap();
    assert!((28..=31).map(|days: u64| (days * 86_400_000 * 2).div_ceil(32)).any(|ms| ms == whole), "{slow:#}");
    let page = daemon.tell(&["status"]).out;
    assert!(
        page.contains(" calls for them left; safe is every ") && page.contains("polls: slowed down from every 150 ms to every "),
        "{page}"
    );
    // What is left of the 40 is for commands.
    courier_comes(&daemon, "msg_1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:#?}");
    assert_eq!(door(&emulators)["accepted"], 1);
}

/// An interval that the calls of the month do not allow is said before anything runs.
#[test]
fn an_interval_beyond_the_quota_is_refused_with_the_arithmetic() {
    let toml = "[connections.front_door]\nconnector = \"sesame\"\napi_key = { env = \"TEST_KUSTOMER_KEY\" }\nsecret_key = { env = \"TEST_KUSTOMER_KEY\" }\ndevice = \"D\"\npoll = \"1 minute\"\n";
    let flow = "when front_door.locked do stop\n";
    let project = crate::support::program::project(&[("flow.toml", toml), ("main.flow", flow)]);
    let said = crate::support::program::flowc(project.path(), &["check"]);
    assert!(said.err.contains("E705") || said.out.contains("E705"), "{said:?}");
    let text = said.out.clone() + &said.err;
    assert!(text.contains("43,200 calls a month, and there are 1,000") && text.contains("poll = \"54 minutes\""), "{text}");
    let said = crate::support::program::flowd(project.path(), &["check-config"]);
    let text = said.out.clone() + &said.err;
    assert!(text.contains("43,200 calls a month"), "{text}");
}
