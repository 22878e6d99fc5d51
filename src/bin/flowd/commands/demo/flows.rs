//! The demo's project: its flows and its flow.toml, in a folder of its own.

use std::io;
use std::path::{Path, PathBuf};

use flow_sandbox::Sandbox;
use serde_json::Value as Json;

use crate::commands::table::text;

/// A flow of the demo, with the connectors that it needs.
struct File {
    name: &'static str,
    text: &'static str,
    needs: &'static [&'static str],
}

/// Those of `examples/`, each checked and run by a test too, and some for which nobody wants to wait as long as in earnest.
const FILES: &[File] = &[
    File {
        name: "big_failed_charge.flow",
        text: include_str!("../../../../../examples/big_failed_charge.flow"),
        needs: &["stripe", "kustomer"],
    },
    File {
        name: "new_customer.flow",
        text: include_str!("../../../../../examples/new_customer.flow"),
        needs: &["stripe", "kustomer"],
    },
    File {
        name: "payment_link.flow",
        text: include_str!("../../../../../examples/payment_link.flow"),
        needs: &["stripe", "kustomer"],
    },
    File {
        name: "receipts.flow",
        text: include_str!("../../../../../examples/receipts.flow"),
        needs: &["stripe", "customerio", "kustomer"],
    },
    File {
        name: "referral_purchase.flow",
        text: include_str!("../../../../../examples/referral_purchase.flow"),
        needs: &["stripe", "referralcandy"],
    },
    File { name: "vip.flow", text: include_str!("vip.flow"), needs: &["stripe", "slack"] },
    File { name: "auto_lock.flow", text: include_str!("auto_lock.flow"), needs: &["sesame"] },
    File { name: "battery.flow", text: include_str!("battery.flow"), needs: &["sesame", "ntfy"] },
];

/// The connections, as flow.toml has them. The door is asked every second, which no real key would last.
const CONNECTIONS: &[(&str, &str)] = &[
    ("stripe", "[connections.stripe]\n"),
    ("kustomer", "[connections.kustomer]\n"),
    ("customerio", "[connections.customerio]\n"),
    ("referralcandy", "[connections.referralcandy]\n"),
    ("slack", "[connections.slack]\n"),
    ("ntfy", "[connections.ntfy]\n"),
    ("sesame", "[connections.front_door]\nconnector = \"sesame\"\npoll = \"1 second\"\nmonthly_quota = 100000000\n"),
];

/// A folder of the demo's own, with its flows; it goes when the demo ends.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
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

/// Makes the project, with what the sandbox has services for.
pub(super) fn scratch(sandbox: &Sandbox) -> io::Result<Scratch> {
    use std::os::unix::fs::DirBuilderExt;
    let path = std::env::temp_dir().join(format!("flowd-demo-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    let scratch = Scratch(std::fs::canonicalize(path)?);
    let there = |connector: &str| Sandbox::connectors().any(|known| known == connector);
    for file in FILES.iter().filter(|file| file.needs.iter().all(|connector| there(connector))) {
        std::fs::write(scratch.path().join(file.name), file.text)?;
    }
    let mut toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    CONNECTIONS.iter().filter(|(connector, _)| there(connector)).for_each(|(_, lines)| toml.push_str(lines));
    std::fs::write(scratch.path().join("flow.toml"), toml)?;
    use_a_price_of(sandbox, scratch.path())?;
    Ok(scratch)
}

/// The example names a price that a real account would have; the simulated one has its own.
fn use_a_price_of(sandbox: &Sandbox, folder: &Path) -> io::Result<()> {
    let state = sandbox.snapshot();
    let prices = state.pointer("/stripe/prices").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let once = prices.iter().find(|price| price["type"] == "one_time").or(prices.first());
    let Some(price) = once.map(|price| text(price, "id")) else { return Ok(()) };
    let file = folder.join("payment_link.flow");
    let flow = std::fs::read_to_string(&file)?;
    std::fs::write(file, flow.replace("price_sandbox", &price))
}
