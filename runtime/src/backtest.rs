//! What an edited flow would have done on the stored events, against what the live one did.
//!
//! The edited flows run on the engine itself, over a store in memory and a clock that only the simulation moves; what
//! services would have answered is taken from the journals. Nothing is sent, and nothing is written to the daemon's store.

mod answers;
mod compare;
mod recorded;
mod report;
mod simulated;
mod subject;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flow_plan as plan;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::store::StoreError;

pub use report::Report;

/// Which events, and how much is told of them.
#[derive(Debug, Clone)]
pub struct BacktestQuery {
    /// The file that was edited, relative to the project.
    pub file: String,
    /// Events received since.
    pub since: Timestamp,
    /// Events received before.
    pub until: Timestamp,
    /// Only this flow of the file.
    pub flow: Option<String>,
    /// So many examples of each kind.
    pub examples: usize,
}

/// An edited file, compiled within its project.
#[derive(Debug, Clone)]
pub struct Edited {
    /// Its flows.
    pub flows: Vec<Arc<plan::Flow>>,
    /// The connections of the project.
    pub connections: BTreeMap<String, plan::Connection>,
}

/// How far a backtest is, for whoever waits for it.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    /// Begins anew.
    fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn looked_at(&self, events: u64) {
        self.0.store(events, Ordering::Relaxed);
    }

    /// Returns how many events were looked at.
    pub(crate) fn events(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why there is no backtest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BacktestError {
    /// The file has no such flow.
    #[error("the file has no flow `{0}`")]
    NoFlow(String),
    /// The file has no flows.
    #[error("the file has no flows")]
    NoFlows,
    /// It was broken off: whoever asked has gone, or the daemon stops.
    #[error("the backtest was broken off")]
    BrokenOff,
    /// More happens than can be followed.
    #[error("more happens in the simulation than can be followed: something goes round without an end")]
    Endless,
    /// The simulation could not go on.
    #[error("the simulation failed: {0}")]
    Failed(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells the simulation to stop when whoever asked for it goes away.
struct Asked(Arc<AtomicBool>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs a backtest in a thread of its own.
///
/// # Errors
/// Where the file has no such flow, the store cannot be read, or whoever asks goes away.
pub async fn run(engine: &Engine, query: BacktestQuery, edited: Edited) -> Result<Report, BacktestError> {
    told(engine, query, edited, Arc::default()).await
}

/// As [`run`], and says how far it is.
pub(crate) async fn told(
    engine: &Engine,
    query: BacktestQuery,
    edited: Edited,
    progress: Arc<Progress>,
) -> Result<Report, BacktestError> {
    progress.begin();
    let gone = Arc::new(AtomicBool::new(false));
    let asked = Asked(Arc::clone(&gone));
    let engine = engine.clone();
    let (reply, answer) = tokio::sync::oneshot::channel();
    let work = move || {
        // What the simulated daemon has to say is none of this one's log.
        let quiet = tracing::dispatcher::set_default(&tracing::Dispatch::none());
        let report = simulate(&engine, &query, edited, (&gone, &progress));
        drop(quiet);
        // Whoever asked may have gone.
        drop(reply.send(report));
    };
    let thread = std::thread::Builder::new().name("flow-backtest".to_owned()).spawn(work);
    thread.map_err(|error| BacktestError::Failed(error.to_string()))?;
    let report = answer.await.unwrap_or_else(|_| Err(BacktestError::Failed("an internal error".to_owned())));
    drop(asked);
    report
}

fn simulate(
    engine: &Engine,
    query: &BacktestQuery,
    edited: Edited,
    (gone, progress): (&AtomicBool, &Progress),
) -> Result<Report, BacktestError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(|error| BacktestError::Failed(error.to_string()))?;
    runtime.block_on(async {
        let mut simulation = simulated::Simulation::new(engine, query, edited)?;
        let result = simulation.perform(gone, progress).await;
        simulation.stop().await;
        result
    })
}
