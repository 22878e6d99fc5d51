//! Which flows an event starts: from the raw bytes to the starts, over many flows.
//!
//!     cargo bench --bench matching
//!     cargo bench --bench matching -- many 10 10000      # a part of it: scan, many, shapes, reload; these numbers of flows
//!
//! Each figure is the least of many rounds, and what is set against each other is measured in turns in one run: on a machine
//! that has other things to do the least comes nearest to what the work itself takes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_compiler::compile::Compiler;
use flow_compiler::settings::Settings;
use flow_plan::{Flow, JsonPath};
use flow_runtime::event::{Origin, Via};
use flow_runtime::journal::EventHead;
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::matcher::Matcher;
use flow_runtime::scan::PathSet;

/// So many flows are in one file.
const PER_FILE: usize = 100;
/// So many rounds are measured of each figure.
const ROUNDS: usize = 60;
/// So many events are there to choose from.
const EVENTS: usize = 500;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        return; // `cargo test --benches` asks only whether it builds and starts.
    }
    let mut sizes: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![10, 1_000, 10_000, 100_000];
    }
    let asked = |part: &str| !args.iter().any(|arg| PARTS.contains(&arg.as_str())) || args.iter().any(|arg| arg == part);
    if asked("scan") {
        scanning();
    }
    if asked("many") {
        FILTERS.iter().for_each(|(name, filter)| many(name, *filter, &sizes));
    }
    if asked("shapes") {
        distinct();
    }
    if asked("reload") {
        sizes.iter().filter(|size| **size >= 1_000).for_each(|size| reload(*size));
    }
}

/// What is measured.
const PARTS: [&str; 4] = ["scan", "many", "shapes", "reload"];

/// The condition of a flow by its number, of so many.
type Filter = fn(usize, usize) -> String;

const FILTERS: &[(&str, Filter)] = &[
    ("an equality that few share, and a bound", |number, _| {
        format!("customer_email is \"buyer{number}@example.com\" and amount > {} USD", number % 100)
    }),
    ("an equality that all share, and a bound", |number, _| format!("livemode is false and amount > {} USD", far(number))),
    ("a bound", |number, _| format!("amount > {} USD", far(number))),
    ("a range of its own", |number, _| format!("amount > {number} USD and amount <= {} USD", number + 1)),
];

/// The bound of a flow: ten of them match, however many there are, so that the matches cost the same.
fn far(number: usize) -> usize {
    if number < 10 { 1 } else { 121 + number }
}

/// One event is matched to so many flows, for several numbers of flows in turns.
fn many(name: &str, filter: Filter, sizes: &[usize]) {
    println!("\n{name}");
    let worlds: Vec<World> = sizes.iter().map(|size| World::new(*size, filter)).collect();
    let events: Vec<Vec<Vec<u8>>> =
        sizes.iter().map(|size| (0..EVENTS).map(|number| charge(number * 7 % size, 12_050, 3_000)).collect()).collect();
    let mut least = vec![Duration::MAX; sizes.len()];
    let mut matched = vec![0; sizes.len()];
    for _ in 0..ROUNDS {
        for (at, (world, events)) in worlds.iter().zip(&events).enumerate() {
            let began = Instant::now();
            matched[at] = events.iter().map(|event| world.matched(event)).sum::<usize>();
            least[at] = least[at].min(began.elapsed());
        }
    }
    for (at, world) in worlds.iter().enumerate() {
        let per_event = least[at] / EVENTS as u32;
        println!(
            "  {:>7} flows: {:>9.0} events/s, {:>6.2} µs each, {:.1} flows started; {:.2} of the rate of {}; {} bytes a flow, built in {:.0} ms",
            sizes[at],
            1.0 / per_event.as_secs_f64(),
            per_event.as_secs_f64() * 1e6,
            matched[at] as f64 / EVENTS as f64,
            least[0].as_secs_f64() / least[at].as_secs_f64(),
            sizes[0],
            world.bytes / sizes[at].max(1),
            world.built.as_secs_f64() * 1e3,
        );
    }
}

/// One event against 10,000 filters of many shapes, and one filter against a large event.
fn distinct() {
    println!("\nfilters of many shapes");
    let shapes: Filter = |number, _| match number % 8 {
        0 => format!("customer_email is \"x{number}@example.com\""),
        1 => format!("amount > {number} EUR and livemode is false"),
        2 => format!("customer_email ends with \"@shop{number}.example\""),
        3 => format!("amount > any({number} GBP, {number} EUR) or customer_email is \"y{number}@example.com\""),
        4 => format!("customer in [\"cus_{number}\", \"cus_x{number}\"] and amount > 1 USD"),
        5 => format!("amount > {} USD and amount < {} USD", 1_000 + number, 1_010 + number),
        6 => format!("description starts with \"Order {number}\""),
        _ => format!("failure_message contains \"reason {number}\" and customer_email is \"z{number}@example.com\""),
    };
    let (one, all) =
        (World::new(1, |_, _| "amount > 100 USD and customer_email ends with \".com\"".to_owned()), World::new(10_000, shapes));
    let event = charge(1, 12_050, 4_096);
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS * 10 {
        for (least, world) in least.iter_mut().zip([&one, &all]) {
            let began = Instant::now();
            for _ in 0..20 {
                black_box(world.matched(black_box(&event)));
            }
            *least = (*least).min(began.elapsed() / 20);
        }
    }
    let micros = least.map(|least| least.as_secs_f64() * 1e6);
    println!("  one filter, an event of {} bytes, from the bytes to the start: {:.2} µs", event.len(), micros[0]);
    println!("  10,000 filters, the same event: {:.2} µs, {} bytes a flow", micros[1], all.bytes / 10_000);
}

/// The scan alone, against the library that builds nothing and the library that builds a tree.
fn scanning() {
    println!("the scan");
    let mut paths = PathSet::default();
    for path in ["data.object.amount", "data.object.currency", "data.object.billing_details.email", "type"] {
        paths.insert(&JsonPath::parse(path).expect("a path"));
    }
    let keys: String = (0..80_000).map(|number| format!("\"k{number}\":0,")).collect();
    let again = "\"data\":{\"object\":{\"amount\":1}},".repeat(36_000);
    let pretty: serde_json::Value = serde_json::from_slice(&charge(1, 12_050, 3_000)).expect("JSON");
    let payloads = [
        ("a charge of 3 kB", charge(1, 12_050, 3_000)),
        ("the same with indentation", serde_json::to_vec_pretty(&pretty).expect("JSON")),
        ("1 MiB of keys", format!("{{{keys}\"z\":0}}").into_bytes()),
        ("1 MiB of the same keys", format!("{{{again}\"z\":0}}").into_bytes()),
        ("1 MiB of escapes", format!("[\"{}\"]", "\\u00e9\\n".repeat(130_000)).into_bytes()),
    ];
    for (name, payload) in payloads {
        let times = (200_000 / payload.len()).max(1) as u32;
        let mut least = [Duration::MAX; 3];
        for _ in 0..ROUNDS {
            let mut measure = |at: usize, read: &dyn Fn()| {
                let began = Instant::now();
                (0..times).for_each(|_| read());
                least[at] = least[at].min(began.elapsed() / times);
            };
            measure(0, &|| drop(black_box(paths.scan(black_box(&payload)))));
            measure(1, &|| drop(black_box(serde_json::from_slice::<&serde_json::value::RawValue>(black_box(&payload)))));
            measure(2, &|| drop(black_box(serde_json::from_slice::<serde_json::Value>(black_box(&payload)))));
        }
        let rate = |time: Duration| payload.len() as f64 / time.as_secs_f64() / 1e6;
        println!(
            "  {name}: {:.2} µs, {:.0} MB/s; ignoring all {:.0} MB/s, a tree {:.0} MB/s",
            least[0].as_secs_f64() * 1e6,
            rate(least[0]),
            rate(least[1]),
            rate(least[2])
        );
    }
}

/// One file of many is changed: what the matcher takes, without the compiler.
fn reload(size: usize) {
    let mut project = Project::new(size, FILTERS[0].1);
    let mut live = project.live();
    let mut matcher = Matcher::build(&live, None);
    let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
    let (mut first, mut sum) = (Duration::MAX, Duration::ZERO);
    for edition in 0..ROUNDS {
        project.change(edition);
        live = project.live();
        let began = spent();
        let next = Matcher::build(&live, Some(&matcher));
        let took = spent() - began;
        matcher = next;
        (least, most) = (least.min(took), most.max(took));
        sum += took;
        if edition < 5 {
            let began = spent();
            black_box(Matcher::build(&live, None));
            first = first.min(spent() - began);
        }
    }
    println!(
        "\nreload of one file of {PER_FILE} flows among {size}: least {:.2} ms, mean {:.2} ms, most {:.2} ms of {ROUNDS}; all anew {:.1} ms; of the processor's time",
        least.as_secs_f64() * 1e3,
        sum.as_secs_f64() * 1e3 / ROUNDS as f64,
        most.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3
    );
    drop(live);
}

/// A project that is compiled.
struct Project {
    compiler: Compiler,
    filter: Filter,
    size: usize,
}

impl Project {
    fn new(size: usize, filter: Filter) -> Self {
        let mut project = Self { compiler: Compiler::new(Settings::default()), filter, size };
        (0..size.div_ceil(PER_FILE)).for_each(|file| project.write(file, 0));
        project
    }

    fn write(&mut self, file: usize, edition: usize) {
        let numbers = file * PER_FILE..((file + 1) * PER_FILE).min(self.size);
        let flows = numbers.map(|number| {
            let condition = (self.filter)(number, self.size);
            format!(
                "when stripe.charge_failed where {condition}\n  do kustomer.create_conversation(name: \"{number}, {edition}\")\n"
            )
        });
        self.compiler.set(&format!("flows/{file:05}.flow"), flows.collect::<String>());
    }

    fn change(&mut self, edition: usize) {
        self.write(edition * 37 % self.size.div_ceil(PER_FILE), edition + 1);
    }

    fn live(&mut self) -> Live {
        let compilation = self.compiler.compile();
        let errors: Vec<String> = compilation.errors().take(3).map(|error| error.message.clone()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let flows: Vec<Arc<Flow>> = compilation.flows().cloned().collect();
        assert_eq!(flows.len(), self.size);
        let connections =
            compilation.connections.iter().map(|(name, plan)| (name.clone(), Arc::new(LiveConnection::bare(plan.clone()))));
        Live { connections: connections.collect(), flows, ..Live::default() }
    }
}

/// Flows that are live.
struct World {
    live: Live,
    matcher: Matcher,
    event: EventHead,
    source: String,
    /// What the matcher added to the process.
    bytes: usize,
    built: Duration,
}

impl World {
    fn new(size: usize, filter: Filter) -> Self {
        let live = Project::new(size, filter).live();
        // The first one leaves behind what making it took, which the second one uses: so what the second adds is what stays of it.
        let first = Matcher::build(&live, None);
        let before = resident();
        let began = spent();
        let matcher = Matcher::build(&live, None);
        let built = spent() - began;
        let bytes = resident().saturating_sub(before);
        drop(first);
        let event = EventHead {
            seq: 1,
            id: "evt_bench".to_owned(),
            connection: "stripe".to_owned(),
            event_type: Some("charge.failed".to_owned()),
            occurred_at: None,
            signed_at: None,
            received_at: jiff::Timestamp::UNIX_EPOCH,
            via: Via::Webhook,
            origin: Origin::External,
            depth: 0,
        };
        let source = live.flows[0].triggers[0].source.clone();
        Self { live, matcher, event, source, bytes, built }
    }

    /// Returns how many flows an event starts.
    fn matched(&self, payload: &[u8]) -> usize {
        let group = self.matcher.group_of("stripe", &self.source, self.event.event_type.as_deref()).expect("flows listen");
        let settings = &self.live.connections["stripe"].plan.settings;
        let payload = group.read(payload).expect("JSON");
        payload.starts(&self.event, settings, None, &|_| false).iter().map(|start| start.flows.len()).sum()
    }
}

/// Returns the processor's time that this thread has had; for what takes longer than a turn, of which others take many.
fn spent() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// Returns the resident set of this process in bytes; 0 where the system does not tell.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

/// Returns the body of a failed charge of at least so many bytes, as Stripe's are.
fn charge(number: usize, cents: u64, size: usize) -> Vec<u8> {
    let body = |notes: &str| {
        format!(
            r#"{{"id":"evt_bench_{number:08}","object":"event","api_version":"2026-10-28.endive","created":1795000000,"data":{{"object":{{"id":"ch_bench_{number:08}","object":"charge","amount":{cents},"amount_captured":0,"amount_refunded":0,"billing_details":{{"address":{{"city":null,"country":"FR","line1":null,"line2":null,"postal_code":"75001","state":null}},"email":"buyer{number}@example.com","name":"A Buyer","phone":null}},"captured":false,"created":1795000000,"currency":"usd","customer":"cus_bench","description":null,"disputed":false,"failure_code":"card_declined","failure_message":"Your card was declined.","livemode":false,"metadata":{{"order":"{number}"{notes}}},"outcome":{{"network_status":"declined_by_network","reason":"generic_decline","risk_level":"normal","risk_score":12,"seller_message":"The bank declined the payment.","type":"issuer_declined"}},"paid":false,"payment_intent":"pi_bench","payment_method":"pm_bench","payment_method_details":{{"card":{{"brand":"visa","country":"US","exp_month":12,"exp_year":2030,"fingerprint":"bench","funding":"credit","last4":"0002"}},"type":"card"}},"receipt_email":null,"receipt_url":null,"refunded":false,"status":"failed"}}}},"livemode":false,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},"type":"charge.failed"}}"#
        )
    };
    let mut notes = String::new();
    while body("").len() + notes.len() < size {
        notes.push_str(&format!(",\"note_{}\":\"a value of some length\"", notes.len()));
    }
    body(&notes).into_bytes()
}
