//! What is said about a whole project and in which form: allowed warnings, SARIF, flow.lock, data flow, graphs.

mod allow;
mod sarif;
mod support;
