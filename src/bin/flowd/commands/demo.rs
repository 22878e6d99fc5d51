//! `flowd demo`: the example flows against simulated services, live.

use std::collections::BTreeMap;
use std::time::Duration;

use flow::output;
use flow::project::Project;
use flow::terminal::{colour_on_stdout, printable};
use flow_runtime::service::Service;
use flow_sandbox::{Direction, Happening, Sandbox};
use serde_json::Value as Json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc};

use crate::args::{Demo, Log};
use crate::commands::run::{connect, options, system_world, urls, with_page};
use crate::commands::table::text;
use crate::host::{Host, HostError};
use crate::sound::Texts;
use crate::{Exit, log};

/// The flows of the demo: those of `examples/`, each checked and run by a test too.
const FLOWS: &[(&str, &str)] = &[
    ("big_failed_charge.flow", include_str!("../../../../examples/big_failed_charge.flow")),
    ("new_customer.flow", include_str!("../../../../examples/new_customer.flow")),
    ("payment_link.flow", include_str!("../../../../examples/payment_link.flow")),
];
const TOML: &str =
    "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\n[connections.kustomer]\n";
/// How long the demo waits for the runs of one event before it goes on.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: Demo) -> Exit {
    log::quiet(Log::Human);
    let folder = match scratch() {
        Ok(folder) => folder,
        Err(error) => return Exit::Usage(format!("the demo has no place for its files: {error}")),
    };
    let exit = play(&args, folder.path()).await;
    match exit {
        Ok(()) => Exit::Well,
        Err(message) => Exit::Usage(message),
    }
}

async fn play(args: &Demo, folder: &std::path::Path) -> Result<(), String> {
    let sandbox = Sandbox::start(flow_sandbox::Options { demo: true, ..with_page() }).await.map_err(|error| error.to_string())?;
    use_a_price_of(&sandbox, folder).map_err(|error| error.to_string())?;
    let project = Project::of(folder).map_err(|error| error.to_string())?;
    let host = Host::open(project, false, Some(urls(&sandbox)), &Texts::new()).map_err(|error| match error {
        HostError::Project(error) => error.to_string(),
        HostError::Problems(reports) => reports.join("\n"),
    })?;
    let (live, notes) = host.live();
    if let Some(note) = notes.first() {
        return Err(note.clone());
    }
    let (reload, _) = mpsc::unbounded_channel();
    let service =
        Service::start(options(&host, reload), live, system_world(host.config())).await.map_err(|error| error.to_string())?;
    connect(&sandbox, &service);
    let screen = Screen { colours: colour_on_stdout() };
    screen.welcome(&service, &sandbox, folder);
    let mut calls = sandbox.subscribe();
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    let mut stop = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    for number in 0..args.events.unwrap_or(u32::MAX) {
        let scene = SCENES[number as usize % SCENES.len()];
        tokio::select! {
            shown = show(&screen, &sandbox, &service, scene, number, &mut calls, &mut ends) => shown?,
            _ = stop.recv() => break,
            _ = terminate.recv() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(args.pace)) => {}
            _ = stop.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    screen.farewell(&sandbox, &ends);
    service.stop().await;
    sandbox.shutdown().await;
    Ok(())
}

/// The example names a price that a real account would have; the simulated one has its own.
fn use_a_price_of(sandbox: &Sandbox, folder: &std::path::Path) -> std::io::Result<()> {
    let state = sandbox.snapshot();
    let prices = state.pointer("/stripe/prices").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let once = prices.iter().find(|price| price["type"] == "one_time").or(prices.first());
    let Some(price) = once.map(|price| text(price, "id")) else { return Ok(()) };
    let file = folder.join("payment_link.flow");
    let flow = std::fs::read_to_string(&file)?;
    std::fs::write(file, flow.replace("price_sandbox", &price))
}

/// Something that happens in the simulated shop.
#[derive(Clone, Copy)]
enum Scene {
    Declined {
        minor: i64,
        currency: &'static str,
        reason: &'static str,
        email: Option<&'static str>,
    },
    UnpaidCheckout {
        minor: i64,
        currency: &'static str,
        email: &'static str,
    },
    NewCustomer {
        name: &'static str,
        email: &'static str,
    },
    /// The service answers 429 once before the next charge.
    BusyKustomer,
}

const SCENES: &[Scene] = &[
    Scene::Declined { minor: 25_000, currency: "usd", reason: "insufficient_funds", email: Some("ada@example.com") },
    Scene::Declined { minor: 1_990, currency: "usd", reason: "card_declined", email: Some("grace@example.com") },
    Scene::NewCustomer { name: "Katherine Johnson", email: "katherine@example.com" },
    Scene::Declined { minor: 5_000, currency: "jpy", reason: "card_declined", email: Some("emmy@example.com") },
    Scene::BusyKustomer,
    Scene::UnpaidCheckout { minor: 8_900, currency: "eur", email: "mary@example.com" },
    Scene::Declined { minor: 48_000, currency: "jpy", reason: "expired_card", email: Some("emmy@example.com") },
    Scene::Declined { minor: 30_000, currency: "usd", reason: "card_declined", email: None },
];

async fn show(
    screen: &Screen,
    sandbox: &Sandbox,
    service: &Service,
    scene: Scene,
    number: u32,
    calls: &mut broadcast::Receiver<flow_sandbox::Activity>,
    ends: &mut BTreeMap<String, u32>,
) -> Result<(), String> {
    let mut title = String::new();
    let happening = match scene {
        Scene::Declined { minor, currency, reason, email } => {
            let happening = Happening::new("charge.failed").amount(minor, currency).failure(reason);
            match email {
                Some(email) => happening.email(email),
                None => happening.with("email", Json::Null),
            }
        }
        Scene::UnpaidCheckout { minor, currency, email } => Happening::new("checkout.session.completed")
            .amount(minor, currency)
            .email(email)
            .with("payment_status", Json::from("unpaid")),
        Scene::NewCustomer { name, email } => Happening::new("customer.created").name(name).email(&format!("{number}.{email}")),
        Scene::BusyKustomer => {
            let rule = serde_json::json!([{ "match": { "method": "POST", "path": "/v1/conversations" }, "fault": "status", "status": 429, "headers": { "Retry-After": "1" }, "times": 1 }]);
            sandbox.add_faults("kustomer", &rule)?;
            title = "  (Kustomer will say 429 once)".to_owned();
            Happening::new("charge.failed").amount(64_000, "usd").failure("card_declined").email("rosalind@example.com")
        }
    };
    let played = sandbox.play("stripe", happening).await.map_err(|error| error.to_string())?;
    screen.happened(&played.objects, scene, &title);
    let mut ran = false;
    for event in &played.events {
        for id in runs_of(service, event).await {
            ran = true;
            let run = wait_for_end(service, &id).await;
            // What was called in the meantime is what these steps did.
            while let Ok(activity) = calls.try_recv() {
                if activity.direction == Direction::Call {
                    screen.called(&activity);
                }
            }
            let status = text(&run, "status");
            screen.ended(&run, &status);
            *ends.entry(status).or_default() += 1;
        }
    }
    if !ran {
        while calls.try_recv().is_ok() {}
        screen.nothing();
        *ends.entry("started nothing".to_owned()).or_default() += 1;
    }
    Ok(())
}

/// Waits until the event is accepted and returns the runs that it started.
async fn runs_of(service: &Service, event: &str) -> Vec<String> {
    let found = async {
        loop {
            if let Ok(stored) = service.engine().event(event)
                && let Some(stored) = stored.first()
            {
                return service.engine().runs_of_event(stored.seq).unwrap_or_default();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_default()
}

async fn wait_for_end(service: &Service, id: &str) -> Json {
    let ended = async {
        loop {
            if let Ok(Some(run)) = service.engine().run(id, false)
                && !run["ended_at"].is_null()
            {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, ended).await {
        Ok(run) => run,
        Err(_) => service.engine().run(id, false).ok().flatten().unwrap_or_default(),
    }
}

/// What is printed.
struct Screen {
    colours: bool,
}

impl Screen {
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn welcome(&self, service: &Service, sandbox: &Sandbox, folder: &std::path::Path) {
        output::out(&format!(
            "{}\n\nStripe and Kustomer are simulated here: nothing leaves this machine, no account is needed.\n  Stripe (simulated)   {}\n  Kustomer (simulated) {}\n  flowd                webhooks {}, admin {}\n\nThe flows:\n",
            self.paint("1", "flowd demo"),
            sandbox.base_url("stripe").unwrap_or_default(),
            sandbox.base_url("kustomer").unwrap_or_default(),
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

    fn happened(&self, objects: &[Json], scene: Scene, note: &str) {
        let object = objects.first();
        let id = object.map(|object| text(object, "id")).unwrap_or_default();
        let what = match scene {
            Scene::Declined { minor, currency, reason, email } => {
                format!("a charge of {} failed ({reason}, {})", amount(minor, currency), email.unwrap_or("no e-mail address"))
            }
            Scene::UnpaidCheckout { minor, currency, email } => {
                format!("a checkout over {} was not paid ({email})", amount(minor, currency))
            }
            Scene::NewCustomer { name, .. } => format!("a new customer: {name}"),
            Scene::BusyKustomer => format!("a charge of {} failed (card_declined, rosalind@example.com)", amount(64_000, "usd")),
        };
        output::out(&format!("{} {what}  {id}{note}\n", self.paint("36;1", "stripe")));
    }

    fn called(&self, activity: &flow_sandbox::Activity) {
        let status = activity.status.map_or("no answer".to_owned(), |status| status.to_string());
        let colour = if activity.status.is_some_and(|status| status < 400 || status == 404) { "2" } else { "33" };
        output::out(&format!(
            "   {}\n",
            self.paint(colour, &format!("-> {} {} {}  {status}", activity.service, activity.method, printable(&activity.path)))
        ));
    }

    fn ended(&self, run: &Json, status: &str) {
        let colour = match status {
            "done" | "stopped" => "32",
            _ => "31",
        };
        let reason = text(run, "reason");
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        output::out(&format!(
            "   {}{reason}\n",
            self.paint(colour, &format!("{} {status}  {}", text(run, "flow"), text(run, "id")))
        ));
    }

    fn nothing(&self) {
        output::out(&format!("   {}\n", self.paint("2", "no flow wanted it (flowd why says for which clause)")));
    }

    fn farewell(&self, sandbox: &Sandbox, ends: &BTreeMap<String, u32>) {
        let counts: Vec<String> = ends.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let state = sandbox.snapshot();
        let conversations = state.pointer("/kustomer/conversations").and_then(Json::as_array).map_or(0, Vec::len);
        output::out(&format!(
            "\n{}: {}. The simulated Kustomer has {conversations} conversations now.\nNext: write a .flow file and `flowd run --sandbox`, or read README.md.\n",
            self.paint("1", "The end"),
            if counts.is_empty() { "nothing happened".to_owned() } else { counts.join(", ") }
        ));
    }
}

fn amount(minor: i64, currency: &str) -> String {
    let currency = currency.to_uppercase();
    match flow_plan::decimals_of(&currency) {
        0 => format!("{minor} {currency}"),
        _ => format!("{}.{:02} {currency}", minor / 100, minor % 100),
    }
}

/// A folder of the demo's own, with its flows; it goes when the demo ends.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.0).is_err() {
            // It lies in the system's folder for such things, which cleans up by itself.
        }
    }
}

fn scratch() -> std::io::Result<Scratch> {
    use std::os::unix::fs::DirBuilderExt;
    let path = std::env::temp_dir().join(format!("flowd-demo-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    let scratch = Scratch(std::fs::canonicalize(path)?);
    for (name, text) in FLOWS {
        std::fs::write(scratch.path().join(name), text)?;
    }
    std::fs::write(scratch.path().join("flow.toml"), TOML)?;
    Ok(scratch)
}
