//! `every …`: the forms, what they become, and what is said of mistakes.

use flow_compiler::settings::Settings;
use flow_plan::{Flow, Rule, Schedule, StartKind};

use crate::harness::{Project, check_in, group_in};

const DO: &str = "do crm.count(name: \"x\")";

fn paris() -> Project {
    Project::with(|settings| {
        settings.timezone = Some("Europe/Paris".to_owned());
        settings.location = Some((48.8566, 2.3522));
        settings.today = Some(jiff::civil::date(2026, 11, 26));
    })
}

fn nowhere() -> Project {
    Project::with(|settings: &mut Settings| settings.today = Some(jiff::civil::date(2026, 11, 26)))
}

fn compiled(start: &str) -> Flow {
    let mut project = paris();
    let checked = project.check(&format!("{start} {DO}"));
    assert!(checked.diagnostics.is_empty(), "{start}: {:#?}", checked.diagnostics);
    checked.outcomes.into_iter().find_map(|outcome| outcome.flow).unwrap()
}

fn schedule(start: &str) -> Schedule {
    match compiled(start).triggers.swap_remove(0).kind {
        StartKind::Schedule(schedule) => *schedule,
        StartKind::Event | StartKind::Absence(_) | StartKind::State(_) => panic!("{start} is no schedule"),
    }
}

#[test]
fn forms() {
    for (written, meant) in [
        ("every day at 22:30 in \"Asia/Tokyo\"", "every day at 22:30 in \"Asia/Tokyo\""),
        ("every weekday at 08:45, 13:00", "every weekday at 08:45, 13:00 in \"Europe/Paris\""),
        ("every weekday at 13:00 and 8:45", "every weekday at 08:45, 13:00 in \"Europe/Paris\""),
        ("every weekend at 10:00", "every weekend at 10:00 in \"Europe/Paris\""),
        ("every monday, thursday at 9:00 and 18:30", "every monday, thursday at 09:00, 18:30 in \"Europe/Paris\""),
        ("every monday, tuesday, wednesday, thursday, friday at 09:00", "every weekday at 09:00 in \"Europe/Paris\""),
        ("every weekend, monday at 09:00", "every monday, saturday, sunday at 09:00 in \"Europe/Paris\""),
        ("every week on monday and friday at 09:00", "every monday, friday at 09:00 in \"Europe/Paris\""),
        ("every month on last day at 18:00", "every month on last day at 18:00 in \"Europe/Paris\""),
        ("every month on 1, 15 at 09:00", "every month on 1, 15 at 09:00 in \"Europe/Paris\""),
        ("every month on the 1st and the 15th at 09:00", "every month on 1, 15 at 09:00 in \"Europe/Paris\""),
        ("every month on day 1 at 09:00", "every month on 1 at 09:00 in \"Europe/Paris\""),
        ("every month on first monday at 9:00", "every month on first monday at 09:00 in \"Europe/Paris\""),
        ("every month on last friday at 9:00", "every month on last friday at 09:00 in \"Europe/Paris\""),
        (
            "every month on first weekday, last weekday at 9:00",
            "every month on first weekday, last weekday at 09:00 in \"Europe/Paris\"",
        ),
        ("every year on 24 december at 18:00", "every year on 24 december at 18:00 in \"Europe/Paris\""),
        ("every year on december 24 at 18:00", "every year on 24 december at 18:00 in \"Europe/Paris\""),
        ("every year on 29 february at 18:00", "every year on 29 february at 18:00 in \"Europe/Paris\""),
        (
            "every year on 1 january, last day december at 18:00",
            "every year on 1 january, last day december at 18:00 in \"Europe/Paris\"",
        ),
        (
            "every year on fourth thursday november at 09:00",
            "every year on fourth thursday november at 09:00 in \"Europe/Paris\"",
        ),
        ("every day at sunset - 15 minutes", "every day at sunset - 15 minutes in \"Europe/Paris\""),
        ("every day at sunrise + 1 hour, 22:00", "every day at 22:00, sunrise + 1 hour in \"Europe/Paris\""),
        ("every hour", "every hour in \"Europe/Paris\""),
        ("every hour at 00:15, 00:45", "every hour at 00:15, 00:45 in \"Europe/Paris\""),
        ("every minute", "every 1 minute"),
        ("every 5 minutes", "every 5 minutes"),
        ("every 1 hour 30 minutes", "every 1 hour 30 minutes"),
        ("every 2 weeks", "every 14 days in \"Europe/Paris\""),
        ("every cron \"*/10  8-18 * * 1-5\"", "every cron \"*/10 8-18 * * 1-5\" in \"Europe/Paris\""),
        ("every cron \"@daily\" in \"UTC\"", "every cron \"@daily\" in \"UTC\""),
    ] {
        assert_eq!(flow_schedule::explain(&schedule(written)), meant);
    }
}

#[test]
fn what_is_missed_has_a_default() {
    let missed = |start: &str| flow_schedule::missed(&schedule(start).missed);
    assert_eq!(missed("every day at 09:00"), "latest within 1 hour");
    assert_eq!(missed("every cron \"0 9 * * *\""), "latest within 1 hour");
    assert_eq!(missed("every 5 minutes"), "skip");
    assert_eq!(missed("every day at 09:00 missed skip"), "skip");
    assert_eq!(missed("every 5 minutes missed all"), "all");
    assert_eq!(missed("every day at 09:00 missed latest within 12 hours"), "latest within 12 hours");
}

#[test]
fn the_trigger_concerns_no_other_flow() {
    let named = compiled("flow night every 5 minutes");
    let trigger = named.triggers.first().unwrap();
    assert_eq!((trigger.connection.as_str(), trigger.name.as_str(), trigger.source.as_str()), ("time", "schedule", "schedule"));
    assert_eq!(trigger.types, ["night"]);
    assert!(matches!(schedule("every 5 minutes").rule, Rule::Interval(_)));
    let unnamed = compiled("every 5 minutes");
    assert_eq!(unnamed.triggers.first().unwrap().types, [unnamed.id]);
}

#[test]
fn a_time_that_no_change_touches_is_not_warned_of() {
    for start in [
        "every day at 01:59",
        "every day at 03:00",
        "every day at 02:30 in \"Asia/Tokyo\"",
        "every day at 02:30 on clock change once",
        "every day at 02:30 on clock change skip",
        "every cron \"*/10 2 * * *\"",
        "every hour at 00:30",
        "every weekday at 02:30",
        "every day at sunrise",
    ] {
        let said = check_in(&mut paris(), &format!("{start} {DO}"));
        assert_eq!(said, "", "{start}");
    }
}

#[test]
fn mistakes() {
    let cases: Vec<String> = [
        "every day",
        "every day in \"Europe/Berlin\"",
        "every weekday",
        "every monday, thursday",
        "every month",
        "every month at 09:00",
        "every month on 1",
        "every year at 09:00",
        "every year on 24 at 09:00",
        "every year on december at 09:00",
        "every month on 24 december at 09:00",
        "every month on monday at 09:00",
        "every month on last at 09:00",
        "every month on 32 at 09:00",
        "every month on 0 at 09:00",
        "every year on 31 april at 09:00",
        "every year on 30 february at 09:00",
        "every week at 09:00",
        "every week on 15 at 09:00",
        "every monday on 15 at 09:00",
        "every friday on last at 09:00",
        "every day on monday at 09:00",
        "every day on 15 at 09:00",
        "every day, monday at 09:00",
        "every monday, month at 09:00",
        "every hour on monday",
        "every hour at 09:15",
        "every minute at 09:00",
        "every mondays at 09:00",
        "every mon at 09:00",
        "every Monday at 09:00",
        "every dya at 09:00",
        "every morning",
        "every sunset",
        "every quarter at 09:00",
        "every fortnight",
        "every 0 minutes",
        "every 100 ms",
        "every 2 years",
        "every 1.5 days",
        "every 5 minutes in \"Europe/Paris\"",
        "every 90 minutes at 9:00",
        "every 1 day at 9:00",
        "every 2 weeks on monday at 9:00",
        "every day at 25:00",
        "every day at 24:00",
        "every day at 09:00, 09:00",
        "every day at noon",
        "every day at sunst",
        "every day at sunset - 2 days",
        "every day at sunset + 20 hours",
        "every day at 09:00 in \"Berlin\"",
        "every day at 09:00 in \"CET\"",
        "every day at 09:00 in \"EST\"",
        "every day at 09:00 in \"PST\"",
        "every day at 09:00 in \"GMT+1\"",
        "every day at 09:00 in \"+02:00\"",
        "every day at 09:00 in \"europe/paris\"",
        "every day at 09:00 in \"Europe/Pariss\"",
        "every day at 09:00 in \"San Francisco\"",
        "every day at 09:00 in \"Moon\"",
        "every day at 09:00 in \"{trigger.name}\"",
        "every cron \"0 9 * *\"",
        "every cron \"0 0 9 * * *\"",
        "every cron \"0 0 9 ? * MON-FRI\"",
        "every cron \"\"",
        "every cron \"61 9 * * *\"",
        "every cron \"0 17-9 * * *\"",
        "every cron \"*/0 * * * *\"",
        "every cron \"0 9 L * *\"",
        "every cron \"0 9 ? * *\"",
        "every cron \"0 9 * * mo\"",
        "every cron \"0 0 31 2 *\"",
        "every cron \"@reboot\"",
        "every cron \"@dialy\"",
        "every day at 09:00 missed latest",
        "every day at 09:00 missed skip within 1 hour",
        "every day at 09:00 missed never",
        "every day at 09:00 on clock change both",
        "every 5 minutes on clock change once",
        "every day at sunset on clock change once",
        "when stripe.charge_failed missed skip",
        "when stripe.charge_failed on clock change once",
    ]
    .iter()
    .map(|start| format!("{start} {DO}"))
    .collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    group_in("schedules", paris, &cases);
}

#[test]
fn what_only_flow_toml_can_say() {
    group_in(
        "schedules_nowhere",
        nowhere,
        &[
            "every day at 09:00 do crm.count(name: \"x\")",
            "every 2 weeks do crm.count(name: \"x\")",
            "every cron \"0 9 * * *\" do crm.count(name: \"x\")",
            "every day at sunset in \"Europe/Paris\" do crm.count(name: \"x\")",
            "every hour do crm.count(name: \"x\")",
            "every 5 minutes do crm.count(name: \"x\")",
            "every 5 minutes where now.time in 08:00..20:00 do crm.count(name: \"x\")",
            "when stripe.charge_failed where created_at.weekday is \"monday\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where created_at + 3 days > now do crm.count(name: \"x\")",
            "when stripe.charge_failed where created_at + 72 hours > now do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn clock_changes() {
    group_in(
        "schedules_changes",
        paris,
        &[
            "every day at 02:30 do crm.count(name: \"x\")",
            "every day at 01:00, 02:00, 02:30 do crm.count(name: \"x\")",
            "every sunday at 02:15 in \"America/New_York\" do crm.count(name: \"x\")",
            "every day at 01:30 in \"America/New_York\" do crm.count(name: \"x\")",
            "every day at 02:15 in \"Australia/Lord_Howe\" do crm.count(name: \"x\")",
            "every cron \"30 2 * * *\" do crm.count(name: \"x\")",
            "every month on last sunday at 02:00 do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn what_a_schedule_lets_its_steps_read() {
    group_in(
        "schedules_steps",
        paris,
        &[
            "every day at 09:00 where now.weekday in [\"monday\", \"friday\"] do crm.count(name: \"{trigger.name} {event.at} {event.id} {now.date} {now.time}\")",
            "every day at 09:00 where now.hour is 9 and now.day < 8 do crm.count(name: \"x\")",
            "every day at 09:00 where amount > 100 USD do crm.count(name: \"x\")",
            "every day at 09:00 do crm.count(name: \"{customer_email}\")",
            "every day at 09:00 do crm.count(name: \"{event.amount}\")",
            "every day at 09:00 do crm.count(name: \"{raw.id else \"x\"}\")",
            "every day at 09:00 where now.weekday is \"mon\" do crm.count(name: \"x\")",
            "every day at 09:00 where now.minutes is 5 do crm.count(name: \"x\")",
            "every day at 09:00 do kustomer.create_conversation",
        ],
    );
}

#[test]
fn times_of_an_instant_are_those_of_the_zone() {
    let flow = compiled("every day at 09:00 in \"Asia/Tokyo\" where now.time in 08:00..20:00 and now + 1 day > now");
    let filter = format!("{:?}", flow.filter);
    assert!(filter.contains("TimeOf") && filter.contains("Shift") && !filter.contains("Paris"), "{filter}");
    assert_eq!(filter.matches("Asia/Tokyo").count(), 2, "{filter}");
}
