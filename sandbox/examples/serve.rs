//! Runs the emulators until interrupted, for other programs to try.
//!
//! `cargo run -p flow-sandbox --example serve [STRIPE_PORT] [KUSTOMER_PORT]` prints what they need, one `NAME=value` a
//! line.

use std::net::SocketAddr;

use flow_sandbox::{Options, Sandbox};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut ports = std::env::args().skip(1).map(|port| port.parse::<u16>());
    let mut address =
        || Ok::<_, std::num::ParseIntError>(SocketAddr::from(([127, 0, 0, 1], ports.next().transpose()?.unwrap_or(0))));
    let options = Options { stripe_listen: address()?, kustomer_listen: address()?, ..Options::default() };
    let sandbox = Sandbox::start(options).await?;
    for (connector, url) in [("stripe", sandbox.stripe_url()), ("kustomer", sandbox.kustomer_url())] {
        let prefix = connector.to_uppercase();
        println!("{prefix}_URL={url}");
        for (name, value) in Sandbox::secrets(connector) {
            println!("{prefix}_{}={value}", name.to_uppercase());
        }
    }
    tokio::signal::ctrl_c().await?;
    sandbox.shutdown().await;
    Ok(())
}
