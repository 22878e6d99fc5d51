//! `flowd sandbox`: the emulators by themselves, to point a daemon or a client library at.

use flow::output;
use flow_sandbox::{Options, Sandbox};

use crate::Exit;
use crate::args::SandboxArgs;

pub(crate) async fn run(args: SandboxArgs) -> Exit {
    let mut options =
        Options { listen: args.listen.into_iter().collect(), demo: args.seeded, page: Some(args.page), ..Options::default() };
    if args.rate.iter().any(|(service, _)| service.is_none()) {
        options = options.unlimited();
    }
    options.rates.extend(args.rate.into_iter().filter_map(|(service, rate)| Some((service?, rate))));
    let sandbox = match Sandbox::start(options).await {
        Ok(sandbox) => sandbox,
        Err(error) => return Exit::Usage(format!("the sandbox cannot start: {error}")),
    };
    for (service, url) in &args.webhook {
        sandbox.set_webhook_target(service, url);
    }
    for connector in Sandbox::connectors() {
        output::out(&format!("{connector} (simulated) at {}\n", sandbox.base_url(connector).unwrap_or_default()));
        for (name, value) in Sandbox::secrets(connector) {
            output::out(&format!("  {name:15} {value}\n"));
        }
    }
    output::out(&format!("page: {}\n", sandbox.page_url().unwrap_or_default()));
    output::out(
        "These keys are worth nothing elsewhere. State: GET /_sandbox/state; events: POST /_sandbox/events; faults: POST /_sandbox/faults\n",
    );
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return Exit::Usage(format!("signals cannot be received: {error}")),
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    sandbox.shutdown().await;
    Exit::Well
}
