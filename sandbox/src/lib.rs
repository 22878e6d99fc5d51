//! Stateful emulators of services' HTTP APIs, each on a port of its own: `services.rs` lists them.
//!
//! They keep what they are told, answer as the services do, deliver signed webhooks, and can be made to
//! fail. Used by `flowd run --sandbox`, by `flowd demo`, and by tests. They are not complete: what is not
//! emulated answers as an unknown address would.
//!
//! # Control endpoints
//!
//! On each port, for programs on the same machine, without credentials:
//!
//! | Request | What it does |
//! | --- | --- |
//! | `POST /_sandbox/faults` | adds fault rules, below; `GET` lists them, `DELETE` removes all |
//! | `GET /_sandbox/state` | everything the emulator holds |
//! | `GET /_sandbox/calls` | every API request it got, oldest first; `DELETE` forgets them |
//! | `POST /_sandbox/events` | makes something happen: `{"type": "charge.failed", "amount": 25000, "currency": "usd", "email": …, "count": 3}` |
//! | `PUT /_sandbox/webhook_target` | `{"url": …}`: where webhooks go besides registered endpoints |
//! | `POST /_sandbox/reset` | forgets everything but the webhook target |
//!
//! An event has `type`, `count`, and for Stripe any of `amount`, `currency`, `email`, `name`, `phone`, `customer`,
//! `description`, `metadata`, `dispute`, `checkout`, `status`, `failure` (a decline code), `payment_intent` (false leaves it out), `payment_link`, `payment_status`,
//! `client_reference_id`, `product`, `interval`, `trial_days`, `charge`, `invoice`, `subscription`, `reason`,
//! `created_offset_seconds` (below 0: it comes to light late); for Kustomer any of `email`, `name`, `phone`, `external_id`, `customer`,
//! `conversation`, `message`, `subject`, `text`, `status`, `priority`, `channel`, `direction`, `assigned_users`, `tags`, `custom`,
//! `changes`; for Sesame `device` and what its `scene.rs` lists (`locked`, `unlocked`, `battery`, `offline`, `sticks`, …).
//! For Customer.io the type is a metric with its channel (`email.bounced`), with any of `channel`, `email`, `person`,
//! `delivery_id`, `recipient`, `subject`, `action_id`, `campaign_id`, `broadcast_id`, `newsletter_id`, `content_id`,
//! `transactional_message_id`, `trigger_id`, `href`, `link_id`, `failure_message`, `content`. For ReferralCandy it is `referral`
//! (`email`, `advocate`, `reference`), `review` (`email`: the time for returns is over), `reward` (`email`, `kind`, `status`,
//! `description`) or `contact` (`email`, `first_name`, `last_name`). With `object` the given object is emitted as it is, under any
//! type, where there are webhooks.
//!
//! A fault rule is `{"match": {"method", "path"}, "fault", "times", "skip", "delay_ms", "status", "headers",
//! "body", "after_effect", "stored"}`. The path is a prefix, or a pattern with `*` for the whole path. The
//! first rule that matches strikes; `times` (always, if left out) counts down, `skip` lets some pass first.
//! Faults: `timeout_before_effect`, `timeout_after_effect`, `reset`, `truncated`, `slow`, `status`.
//!
//! # Rates
//!
//! By itself each allows as much as the real service, by [`Options::clock`]: Stripe 25 requests a second as in test mode (429 with
//! `Stripe-Rate-Limited-Reason`), Kustomer 1,000 a minute and 100 searches (429 with `x-ratelimit-…`), Customer.io 1,000 a second for
//! people and events, 10 for reading, 100 for messages, one broadcast in 10 seconds, Sesame 1,000 calls a month (403), Slack one
//! message a second, Discord 5 in 2 seconds, ntfy 60 at once and one more after 5 seconds. What ReferralCandy allows is not known.
//!
//! # Absent on purpose
//!
//! No TLS, and no webhooks to `https` addresses: the sandbox talks to programs on the same machine.

// The services' objects have many fields, and `json!` recurses over them.
#![recursion_limit = "512"]

mod activity;
mod client;
mod clock;
mod connection;
mod control;
mod customerio;
mod delivery;
mod emulator;
mod fault;
mod form;
mod http;
mod ids;
mod kustomer;
mod lock;
mod page;
mod play;
mod rate;
mod referralcandy;
mod refusal;
mod server;
mod services;
mod sesame;
mod signature;
mod stripe;
mod table;
mod web;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

pub use activity::{Activity, Direction};
pub use clock::{Clock, system_clock};
pub use play::{Happening, PlayError, Played};
pub use rate::Rate;

use crate::delivery::{Courier, Queue};
use crate::emulator::Emulator;
use crate::services::{SERVICES, Service};

/// How often scheduled things are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How a sandbox is started.
#[derive(Clone)]
pub struct Options {
    /// Where emulators listen, by service. The others take a free port of 127.0.0.1, as does port 0.
    pub listen: BTreeMap<String, SocketAddr>,
    /// What time it is, for everything the emulators date or let expire.
    pub clock: Clock,
    /// The pauses before the second, third, … attempt to deliver a webhook. Much quicker than the services'.
    pub webhook_retry: Vec<Duration>,
    /// How long a receiver of a webhook may take to answer.
    pub webhook_timeout: Duration,
    /// Makes identifiers the same each time. Without it they are random.
    pub seed: Option<u64>,
    /// How many requests services allow; more are answered with 429, or as the service does it. Those that are not named allow as
    /// many as the real ones.
    pub rates: BTreeMap<String, Rate>,
    /// Where the page is that shows what the services hold and makes things happen; none without it. An address of this machine.
    pub page: Option<SocketAddr>,
    /// Starts with a few customers, products and prices instead of empty.
    pub demo: bool,
}

impl Options {
    /// Lets any number of requests in, for load tests.
    #[must_use]
    pub fn unlimited(mut self) -> Options {
        self.rates = SERVICES.iter().map(|service| (service.name.to_owned(), Rate::Unlimited)).collect();
        self
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: BTreeMap::new(),
            clock: system_clock(),
            webhook_retry: [200, 500, 1_000, 2_000, 5_000, 10_000].map(Duration::from_millis).to_vec(),
            webhook_timeout: Duration::from_secs(10),
            seed: None,
            rates: BTreeMap::new(),
            page: None,
            demo: false,
        }
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// An address could not be listened on: another program has it, or it is not this machine's.
    #[error("the {service} emulator cannot listen on {address}")]
    Listen {
        /// Which emulator.
        service: &'static str,
        /// The address from the options.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The page can do everything that the sandbox can, without credentials.
    #[error("the page is for this machine alone: {0} can be reached from elsewhere")]
    PageForAll(SocketAddr),
}

/// Running emulators. They stop, with all their connections, when this is dropped.
pub struct Sandbox {
    running: Vec<Running>,
    stream: broadcast::Sender<Activity>,
    pub(crate) queue: Queue,
    page: Option<SocketAddr>,
    tasks: JoinSet<()>,
}

/// One of them.
struct Running {
    service: &'static Service,
    emulator: Arc<dyn Emulator>,
    address: SocketAddr,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.running.iter().map(|running| (running.service.name, running.address))).finish()
    }
}

impl Sandbox {
    /// Starts the emulators on the current Tokio runtime. They answer as soon as this returns.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Listen`], where one of the addresses is taken.
    pub async fn start(options: Options) -> Result<Sandbox, SandboxError> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let stream = activity::stream();
        let (queue, deliveries) = Queue::new();
        let mut running = Vec::new();
        let mut tasks = JoinSet::new();
        for service in SERVICES {
            let wanted = options.listen.get(service.name).copied().unwrap_or(any_port);
            let (listener, address) = listen(service.name, wanted).await?;
            let emulator = (service.make)(&options, queue.clone(), stream.clone());
            tasks.spawn(server::serve(listener, Arc::clone(&emulator)));
            running.push(Running { service, emulator, address });
        }
        let mut page = None;
        if let Some(wanted) = options.page {
            if !wanted.ip().to_canonical().is_loopback() {
                return Err(SandboxError::PageForAll(wanted));
            }
            let (listener, address) = listen("page", wanted).await?;
            let services = running
                .iter()
                .map(|one| (one.service.name, format!("http://{}", one.address), Arc::clone(&one.emulator)))
                .collect();
            tasks.spawn(Arc::new(page::Page::new(address, services)).run(listener, stream.subscribe()));
            page = Some(address);
        }
        let emulators: Vec<_> = running.iter().map(|running| Arc::clone(&running.emulator)).collect();
        let courier = Courier {
            clock: Arc::clone(&options.clock),
            retry: options.webhook_retry,
            timeout: options.webhook_timeout,
            stream: stream.clone(),
            emulators: emulators.iter().map(Arc::downgrade).collect(),
            queue: queue.clone(),
        };
        tasks.spawn(courier.run(deliveries));
        tasks.spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                interval.tick().await;
                for emulator in &emulators {
                    emulator.tick();
                }
            }
        });
        Ok(Sandbox { running, stream, queue, page, tasks })
    }

    /// Returns the services that are emulated, with their addresses, in the order in which they are shown.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.running.iter().map(|running| (running.service.name, format!("http://{}", running.address)))
    }

    /// Returns the address of the page, where there is one.
    pub fn page_url(&self) -> Option<String> {
        self.page.map(|address| format!("http://{address}/"))
    }

    /// Returns the names of the services that can be emulated.
    pub fn service_names() -> impl Iterator<Item = &'static str> {
        SERVICES.iter().map(|service| service.name)
    }

    /// Returns the connectors that are answered.
    pub fn connectors() -> impl Iterator<Item = &'static str> {
        SERVICES.iter().flat_map(|service| service.reached_by).map(|reached| reached.connector)
    }

    /// Returns the address that a connection of a connector is given as its `base_url`, or `None` where nothing answers it.
    pub fn base_url(&self, connector: &str) -> Option<String> {
        let (service, reached) = services::reached_by(connector)?;
        let running = self.running.iter().find(|running| running.service.name == service.name)?;
        Some(format!("http://{}{}", running.address, reached.path))
    }

    /// Returns the settings and secrets with which a connection reaches the emulator of its connector.
    ///
    /// They are worth nothing elsewhere.
    pub fn secrets(connector: &str) -> &'static [(&'static str, &'static str)] {
        services::reached_by(connector).map_or(&[], |(_, reached)| reached.settings)
    }

    /// Sets where an emulator delivers webhooks, besides the endpoints registered through its API.
    ///
    /// They are signed with the webhook secret of [`Sandbox::secrets`].
    pub fn set_webhook_target(&self, connector: &str, url: &str) {
        if let Some(emulator) = self.emulator(connector) {
            emulator.set_webhook_target(Some(url.to_owned()));
        }
    }

    /// Returns a stream of what the sandbox is asked and what it delivers, from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Activity> {
        self.stream.subscribe()
    }

    /// Returns everything the emulators hold: per service its records, its events and its call log.
    pub fn snapshot(&self) -> Value {
        let all = self.running.iter().map(|running| (running.service.name.to_owned(), running.emulator.snapshot()));
        Value::Object(all.collect())
    }

    /// Adds fault rules to a service, as its control endpoint does.
    ///
    /// # Errors
    ///
    /// What is wrong with the rules, for a person. None is added then.
    pub fn add_faults(&self, connector: &str, rules: &Value) -> Result<(), String> {
        let emulator = self.emulator(connector).ok_or("no such emulator")?;
        emulator.faults().add(rules).map(|_| ())
    }

    /// Removes the fault rules of a service.
    pub fn clear_faults(&self, connector: &str) {
        if let Some(emulator) = self.emulator(connector) {
            emulator.faults().clear();
        }
    }

    /// Waits until every webhook was delivered or given up.
    pub async fn settled(&self) {
        self.queue.wait_below(0).await;
    }

    /// Stops the emulators and waits until their tasks have ended.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }

    /// Returns an emulator by its own name, or by a connector that it answers.
    pub(crate) fn emulator(&self, name: &str) -> Option<&dyn Emulator> {
        let by_name = self.running.iter().find(|running| running.service.name == name);
        let running = by_name.or_else(|| {
            let (service, _) = services::reached_by(name)?;
            self.running.iter().find(|running| running.service.name == service.name)
        })?;
        Some(&*running.emulator)
    }
}

async fn listen(service: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), SandboxError> {
    let failed = |source| SandboxError::Listen { service, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
