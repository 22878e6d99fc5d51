//! What the demo prints.

use std::collections::BTreeMap;
use std::path::Path;

use flow::output;
use flow::terminal::{colour_on_stdout, printable};
use flow_runtime::service::Service;
use flow_sandbox::{Activity, Direction, Sandbox};
use serde_json::Value as Json;

use super::scene::Scene;
use crate::commands::table::text;

/// The terminal.
pub(super) struct Screen {
    colours: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { colours: colour_on_stdout() }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(super) fn welcome(&self, service: &Service, sandbox: &Sandbox, folder: &Path) {
        output::out(&format!(
            "{}\n\nThe services are simulated: nothing leaves this machine, no account is needed.\n\n  {}\n  what they hold, live, with buttons that make things happen\n\n",
            self.paint("1", "flowd demo"),
            self.paint("1;4", &sandbox.page_url().unwrap_or_default()),
        ));
        for (name, url) in sandbox.services() {
            output::out(&format!("  {:26}{url}\n", format!("{name} (simulated)")));
        }
        output::out(&format!(
            "  {:26}webhooks {}, admin {}\n\nThe flows:\n",
            "flowd",
            service.addresses().server,
            service.addresses().admin
        ));
        for flow in &service.engine().live().flows {
            let title = flow.title.as_ref().map(|title| format!("  {title}")).unwrap_or_default();
            output::out(&format!("  {:18}{title}\n", flow.id));
        }
        output::out(&format!(
            "\nLook around in another terminal: flowd runs --project {0}\nCtrl-C ends the demo.\n\n",
            folder.display()
        ));
    }

    pub(super) fn happened(&self, scene: Scene, objects: &[Json]) {
        let id = objects.first().map(|object| text(object, "id")).unwrap_or_default();
        output::out(&format!("{} {}  {id}\n", self.paint("36;1", scene.connector()), scene.words()));
    }

    /// A request to one of the services, unless it only looks whether something is new.
    pub(super) fn called(&self, activity: &Activity) {
        if activity.direction != Direction::Call || (activity.service == "sesame" && activity.method == "GET") {
            return;
        }
        let status = activity.status.map_or("no answer".to_owned(), |status| status.to_string());
        let colour = if activity.status.is_some_and(|status| status < 400 || status == 404) { "2" } else { "33" };
        output::out(&format!(
            "   {}\n",
            self.paint(colour, &format!("-> {} {} {}  {status}", activity.service, activity.method, printable(&activity.path)))
        ));
    }

    pub(super) fn ended(&self, run: &Json, status: &str) {
        let colour = match status {
            "done" | "stopped" => "32",
            _ => "31",
        };
        let reason = text(run, "reason");
        let reason = if reason.is_empty() { String::new() } else { format!(": {}", printable(&reason)) };
        output::out(&format!(
            "   {}{reason}\n",
            self.paint(colour, &format!("{} {status}  {}", text(run, "flow"), text(run, "id")))
        ));
    }

    pub(super) fn nothing(&self) {
        output::out(&format!("   {}\n", self.paint("2", "no flow wanted it (flowd why says for which clause)")));
    }

    pub(super) fn farewell(&self, sandbox: &Sandbox, ends: &BTreeMap<String, u32>) {
        let counts: Vec<String> = ends.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let state = sandbox.snapshot();
        let held: Vec<String> = [
            ("conversations at Kustomer", "/kustomer/conversations"),
            ("messages by Customer.io", "/customerio/deliveries"),
            ("purchases at ReferralCandy", "/referralcandy/purchases"),
        ]
        .iter()
        .filter_map(|(what, at)| Some(format!("{} {what}", state.pointer(at)?.as_array()?.len())))
        .collect();
        output::out(&format!(
            "\n{}: {}. There are {} now, all simulated.\nNext: write a .flow file and `flowd run --sandbox`, or read README.md.\n",
            self.paint("1", "The end"),
            if counts.is_empty() { "nothing happened".to_owned() } else { counts.join(", ") },
            held.join(", ")
        ));
    }
}

/// An amount as people write it.
pub(super) fn amount(minor: i64, currency: &str) -> String {
    let currency = currency.to_uppercase();
    match flow_plan::decimals_of(&currency) {
        0 => format!("{minor} {currency}"),
        _ => format!("{}.{:02} {currency}", minor / 100, minor % 100),
    }
}
