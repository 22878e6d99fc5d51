//! What must not open a door: clocks that are wrong, answers that are lost or lie, what is old, and what stands still in between.

use super::*;

const REFUSED: &str = "User is not authorized to access this resource with an explicit deny in an identity-based policy";

fn only_run(daemon: &Daemon) -> Json {
    let runs = daemon.settled(1);
    assert_eq!(runs.len(), 1, "{runs:#?}");
    daemon.get(&format!("runs/{}?personal=true", runs[0]["id"].as_str().unwrap()))
}

fn dead_because(daemon: &Daemon, word: &str) {
    let run = only_run(daemon);
    let reason = run["reason"].as_str().unwrap_or_default();
    assert_eq!((&run["status"], reason.contains(word)), (&json!("dead"), true), "{run:#}");
}

/// A signature is of another time then: the service takes neither.
#[test]
fn a_clock_ten_minutes_off_opens_nothing_and_says_why() {
    for ahead in [600, -600] {
        let emulators = Emulators::ahead_by(ahead);
        let daemon = start(&toml(&emulators), LET_IN);
        courier_comes(&daemon, "msg_1");
        dead_because(&daemon, "sign is wrong");
        assert_eq!(door(&emulators)["accepted"], 0);
        assert_eq!(connection(&daemon)["state"], "ok");
        let flow = "flow lock_up when courier.received do front_door.lock\n";
        let daemon = start(&toml(&emulators), flow);
        courier_comes(&daemon, "msg_1");
        dead_because(&daemon, "sign is wrong");
        assert_eq!(door(&emulators)["accepted"], 0);
    }
}

/// The signature still holds, and the door's reports are dated by the service.
#[test]
fn a_clock_some_minutes_off_is_told_by_the_answer() {
    for ahead in [-200, 200] {
        let emulators = Emulators::ahead_by(ahead);
        let daemon = start(&toml(&emulators), LET_IN);
        courier_comes(&daemon, "msg_1");
        let run = only_run(&daemon);
        assert_eq!(run["status"], "done", "{ahead}: {run:#}");
        assert_eq!((&run["steps"][0]["output"]["confirmed"], codes(&door(&emulators))), (&json!(true), vec![17, 11]), "{run:#}");
    }
    // Somebody opened it a minute ago, by the service's clock: by ours, which is behind, that is still to come.
    let emulators = Emulators::ahead_by(200);
    emulators.happen("sesame", &json!({ "type": "unlocked", "seconds_ago": 60 }));
    emulators.happen("sesame", &json!({ "type": "sticks", "count": 1 }));
    let daemon = start(&toml(&emulators), LET_IN);
    courier_comes(&daemon, "msg_1");
    dead_because(&daemon, "not confirmed");
}

#[test]
fn how_long_a_command_is_confirmed_is_for_the_flow_to_say() {
    let emulators = Emulators::start();
    emulators.happen("sesame", &json!({ "type": "sticks", "count": 3 }));
    let flow = |within: &str| {
        format!("flow let_in when courier.received fresh within 30 seconds do front_door.unlock(confirm_within: {within})\n")
    };
    // Nobody asks: it is accepted, and that is all that is known.
    let daemon = start(&toml(&emulators), &flow("0 seconds"));
    courier_comes(&daemon, "msg_1");
    let run = only_run(&daemon);
    let output = &run["steps"][0]["output"];
    assert_eq!((&run["status"], output), (&json!("done"), &json!({ "accepted": true })), "{run:#}");
    let asked = |emulators: &Emulators| {
        let state = emulators.state("sesame");
        state["calls"].as_array().unwrap().iter().filter(|call| call["method"] == "GET").count()
    };
    assert_eq!(asked(&emulators), 0);
    let daemon = start(&toml(&emulators), &flow("1 second"));
    courier_comes(&daemon, "msg_1");
    dead_because(&daemon, "not confirmed within 1 second");
    assert!((1..=12).contains(&asked(&emulators)), "{}", asked(&emulators));
    // Longer than a run should hold on to it: nothing is sent.
    let before = door(&emulators)["accepted"].clone();
    let daemon = start(&toml(&emulators), &flow("11 minutes"));
    courier_comes(&daemon, "msg_1");
    dead_because(&daemon, "10 minutes at most");
    assert_eq!(door(&emulators)["accepted"], before);
}

/// A success with a failure inside, nothing that can be read, and answers that never come.
#[test]
fn answers_that_say_nothing_or_something_else_open_nothing_twice() {
    let post = |fault: Json| {
        let mut rule = json!({ "match": { "method": "POST" }, "times": 1 });
        rule.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        rule
    };
    for (fault, word, accepted) in [
        (
            json!({ "fault": "status", "status": 200, "body": { "statusCode": 500, "message": "device error" } }),
            "device error",
            0,
        ),
        // Not "200 OK", which would read as if all were well.
        (
            json!({ "fault": "status", "status": 200, "body": { "statusCode": 500 } }),
            "its body says no: { \"statusCode\": 500 }",
            0,
        ),
        (json!({ "fault": "status", "status": 500 }), "outcome is unknown", 0),
        (
            json!({ "fault": "status", "status": 502, "body": "<html>Bad gateway</html>", "after_effect": true }),
            "outcome is unknown",
            1,
        ),
        (json!({ "fault": "truncated" }), "outcome is unknown", 1),
        (json!({ "fault": "reset", "after_effect": true }), "outcome is unknown", 1),
        (json!({ "fault": "reset" }), "outcome is unknown", 0),
    ] {
        let emulators = Emulators::start();
        let daemon = start(&toml(&emulators), LET_IN);
        emulators.fault("sesame", &post(fault));
        courier_comes(&daemon, "msg_1");
        dead_because(&daemon, word);
        assert_eq!(door(&emulators)["accepted"], accepted, "{word}");
    }
}

/// A module that is offline, a key that is used up: what would open the door when they are back is not sent then.
#[test]
fn what_cannot_be_sent_in_time_is_never_sent() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), LET_IN);
    emulators.happen("sesame", &json!({ "type": "offline", "answer": 404 }));
    courier_comes(&daemon, "msg_1");
    dead_because(&daemon, "404");
    emulators.happen("sesame", &json!({ "type": "online" }));
    assert_eq!(door(&emulators)["accepted"], 0);

    // It has worked, and is refused now: the run waits, and by the time that the key is well it is too late.
    let emulators = Emulators::start();
    let flow =
        "flow let_in when courier.received fresh within 2 seconds do front_door.unlock\n\nwhen front_door.locked do stop\n";
    let daemon = start(&toml(&emulators), flow);
    first_look(&daemon);
    emulators.fault("sesame", &json!({ "fault": "status", "status": 403, "body": { "Message": REFUSED } }));
    eventually("it is known to be used up", || (connection(&daemon)["state"] == "spent").then_some(()));
    courier_comes(&daemon, "msg_1");
    let waits = eventually("the run waits", || daemon.runs().first().cloned());
    assert!(waits["status"] != "done", "{waits:#}");
    let due = jiff::Timestamp::now().as_second() + 3;
    eventually("it is too late", || (jiff::Timestamp::now().as_second() >= due).then_some(()));
    emulators.well_again("sesame");
    let toml = daemon.path().join("flow.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, text.replace("100_000_000", "90_000_000")).unwrap();
    eventually("the run has an end", || {
        let status = daemon.runs()[0]["status"].as_str()?.to_owned();
        assert!(matches!(status.as_str(), "dead" | "stopped" | "parked"), "{status}");
        (status != "parked").then_some(())
    });
    assert_eq!(door(&emulators)["accepted"], 0);
}

/// "Slow down" says that nothing was done. Somebody who stood at the door a minute ago may be gone: only a lock is told again.
#[test]
fn what_opens_a_door_is_told_once_also_where_the_service_says_that_nothing_was_done() {
    for (action, clause, told) in
        [("unlock", " fresh within 30 seconds", 1), ("toggle", " fresh within 30 seconds", 1), ("click", "", 1), ("lock", "", 2)]
    {
        let emulators = Emulators::start();
        let daemon = start(&toml(&emulators), &format!("when courier.received{clause} do front_door.{action}\n"));
        let busy =
            json!({ "match": { "method": "POST" }, "fault": "status", "status": 429, "body": "Too Many Requests", "times": 1 });
        emulators.fault("sesame", &busy);
        courier_comes(&daemon, "msg_1");
        if told == 1 {
            dead_because(&daemon, "it is not tried again by itself");
        }
        let run = only_run(&daemon);
        assert_eq!(run["steps"][0]["attempts"].as_array().map(Vec::len), Some(told), "{action}: {run:#}");
        assert_eq!(door(&emulators)["accepted"], told - 1, "{action}");
    }
}

/// The daemon was away, or was told other flows, between the event and the step.
#[test]
fn a_run_that_goes_on_after_a_restart_or_with_other_flows_opens_nothing_old() {
    let emulators = Emulators::start();
    let flow = "flow let_in\n  when courier.received\n  fresh within 5 minutes\n  do {\n    wait 2 seconds\n    front_door.unlock(note: \"one\")\n  }\n";
    let mut daemon = start(&toml(&emulators), flow);
    courier_comes(&daemon, "msg_1");
    eventually("it waits", || (daemon.runs().first()?["status"] == "waiting").then_some(()));
    daemon.kill();
    daemon.launch();
    // Who was at the door when nobody looked may be gone.
    let run = only_run(&daemon);
    assert_eq!(run["status"], "stopped", "{run:#}");
    assert!(run["reason"].as_str().unwrap().contains("before the daemon was started"), "{run:#}");
    assert_eq!(door(&emulators)["accepted"], 0);

    // A reload is no restart: the run ends under the flow that it began with, once.
    drop(daemon);
    let daemon = start(&toml(&emulators), flow);
    courier_comes(&daemon, "msg_2");
    eventually("it waits", || (daemon.runs().first()?["status"] == "waiting").then_some(()));
    std::fs::write(daemon.path().join("main.flow"), flow.replace("\"one\"", "\"two\"")).unwrap();
    daemon.tell(&["reload"]);
    assert_eq!(only_run(&daemon)["status"], "done");
    let door = door(&emulators);
    assert_eq!((&door["accepted"], &door["history"][0]["historyTag"]), (&json!(1), &json!("b25l")), "{door:#}");
}

/// What happened while nobody looked is found late: it is told, and opens nothing.
#[test]
fn acts_that_are_found_after_an_absence_open_nothing() {
    let emulators = Emulators::start();
    let flow = "flow open_again\n  when front_door.locked\n  where method is \"app\"\n  fresh within 5 minutes\n  do front_door.unlock\n";
    let mut daemon = start(&toml(&emulators), flow);
    first_look(&daemon);
    daemon.terminate();
    emulators.happen("sesame", &json!({ "type": "unlocked" }));
    emulators.happen("sesame", &json!({ "type": "locked", "method": "app" }));
    next_second_of_clock();
    daemon.launch();
    let runs = daemon.settled(1);
    assert!(matches!(runs[0]["status"].as_str(), Some("dead" | "stopped")), "{runs:#?}");
    assert_eq!(door(&emulators)["accepted"], 0);
    // And an act of ten minutes ago, of which the cloud heard only now.
    emulators.happen("sesame", &json!({ "type": "unlocked", "seconds_ago": 700 }));
    emulators.happen("sesame", &json!({ "type": "locked", "method": "app", "seconds_ago": 600 }));
    emulators.happen("sesame", &json!({ "type": "battery", "level": 80 }));
    next_second_of_clock();
    emulators.happen("sesame", &json!({ "type": "unlocked" }));
    emulators.happen("sesame", &json!({ "type": "battery", "level": 81 }));
    eventually("it is seen", || (door(&emulators)["status"]["batteryPercentage"] == 81).then_some(()));
    assert_eq!(door(&emulators)["accepted"], 0);
}

/// The door says that it is locked, and nobody knows since when: that is told, and opens nothing.
#[test]
fn what_the_door_says_of_itself_is_of_no_age_and_opens_nothing() {
    let emulators = Emulators::start();
    let flow = "flow open_again when front_door.locked fresh within 5 minutes do front_door.unlock\n\nflow told when front_door.locked do stop because \"told\"\n";
    let daemon = start(&toml(&emulators), flow);
    first_look(&daemon);
    emulators.fault("sesame", &json!({ "match": { "path": "*/history" }, "fault": "status", "status": 500 }));
    emulators.happen("sesame", &json!({ "type": "status", "status": "unlocked" }));
    eventually("it was seen", || {
        let status = connection(&daemon)["polls"][0]["error"].clone();
        (!status.is_null()).then_some(())
    });
    next_second_of_clock();
    emulators.happen("sesame", &json!({ "type": "status", "status": "locked" }));
    let runs = daemon.settled(2);
    let reason = |flow: &str| runs.iter().find(|run| run["flow"] == flow).unwrap()["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason("told"), "told");
    assert!(reason("open_again").contains("nobody can say how old it is"), "{runs:#?}");
    assert_eq!(door(&emulators)["accepted"], 0);
}

/// Two lines of one direction are one act, which is as old as its first.
#[test]
fn an_act_is_as_old_as_its_first_line() {
    let emulators = Emulators::start();
    let flow = "flow open_again when front_door.locked fresh within 2 seconds do front_door.unlock\n\nflow told when front_door.locked do stop because \"told\"\n";
    let daemon = start(&toml(&emulators), flow);
    first_look(&daemon);
    next_second_of_clock();
    let first = jiff::Timestamp::now().as_millisecond();
    eventually("it is too late", || (jiff::Timestamp::now().as_millisecond() > first + 2_500).then_some(()));
    // Of one poll: locked by hand, and by its own timer a while later.
    for (number, code, at) in [(900, 7, first), (901, 6, jiff::Timestamp::now().as_millisecond())] {
        emulators.happen("sesame", &json!({ "type": "record", "object": { "recordID": number, "type": code, "timeStamp": at } }));
    }
    emulators.happen("sesame", &json!({ "type": "battery", "level": 90 }));
    let runs = daemon.settled(1);
    assert_eq!((runs.len(), &runs[0]["flow"]), (1, &json!("told")), "{runs:#?}");
    let why = daemon.tell(&["why", runs[0]["event"].as_str().unwrap()]);
    assert!(why.out.contains("too old"), "{why:?}");
    assert_eq!(door(&emulators)["accepted"], 0);
}

fn next_second_of_clock() {
    let second = jiff::Timestamp::now().as_second();
    eventually("another second begins", || (jiff::Timestamp::now().as_second() > second).then_some(()));
}

/// Two daemons keep one door, and two flows of one of them: it ends locked, and nobody goes on for ever.
#[test]
fn two_who_keep_one_door_come_to_an_end() {
    let emulators = Emulators::start();
    let two = format!("{LOCK_AGAIN}\nflow lock_as_well when front_door.unlocked do front_door.lock(note: \"as well\")\n");
    let first = start(&toml(&emulators), &two);
    let second = start(&toml(&emulators), LOCK_AGAIN);
    first_look(&first);
    first_look(&second);
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "hand" }));
    let (mine, theirs) = (first.settled(2), second.settled(1));
    assert!(mine.iter().chain(&theirs).all(|run| run["status"] == "done"), "{mine:#?}\n{theirs:#?}");
    let found = door(&emulators);
    assert_eq!((&found["status"]["CHSesame2Status"], &found["accepted"]), (&json!("locked"), &json!(3)), "{found:#}");
    let drives = codes(&found).into_iter().filter(|code| *code == 10).count();
    assert_eq!(drives, 1, "the bolt moves once");
    assert_eq!((first.runs().len(), second.runs().len()), (2, 1));
}

/// What changes sides is told once, and never told again by a run that somebody tries once more.
#[test]
fn a_toggle_is_told_once_and_needs_what_an_unlock_needs() {
    let emulators = Emulators::start();
    let flow = "flow change when courier.received fresh within 30 seconds do front_door.toggle(note: \"hi\")\n";
    let mut daemon = start(&toml(&emulators), flow);
    emulators.fault("sesame", &json!({ "match": { "method": "POST" }, "fault": "timeout_after_effect", "times": 1 }));
    courier_comes(&daemon, "msg_1");
    eventually("the door was told", || (door(&emulators)["accepted"] == 1).then_some(()));
    daemon.kill();
    daemon.launch();
    dead_because(&daemon, "the outcome is unknown");
    let run = daemon.runs()[0]["id"].as_str().unwrap().to_owned();
    daemon.tell(&["retry", &run]);
    eventually("it is decided", || {
        let status = daemon.runs()[0]["status"].as_str()?.to_owned();
        (status != "running" && status != "waiting").then_some(())
    });
    assert_eq!(door(&emulators)["accepted"], 1);
}
