//! What of a connection a request goes to: its service, a further API of it with credentials of its own, or a server that only
//! the run names.
//!
//! Each answers, or does not, by itself: a key that is refused by one says nothing of the key of another, and a receiver that is
//! away nothing of other receivers.

use std::fmt;

use flow_plan::Request;

use crate::eval::Scope;
use crate::live::LiveConnection;
use crate::request::origin_brought;

/// Stands in a name between the connection and the API. No name of either has a space.
const VIA: &str = " via ";
/// The same for an origin.
const AT: &str = " at ";
/// No host has a name so long: whoever makes up names takes no more memory than this.
const LONGEST_ORIGIN: usize = 280;
/// Stands for all that are longer.
const NO_ORIGIN: &str = "https://...";

/// What a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) connection: String,
    /// A further API of the service.
    pub(crate) api: Option<String>,
    /// The server that a run has named: scheme, host and port.
    pub(crate) origin: Option<String>,
}

impl Target {
    /// Returns the service of a connection. That of "" is what needs none.
    pub(crate) fn service(connection: &str) -> Self {
        Self { connection: connection.to_owned(), api: None, origin: None }
    }

    /// Returns what a request goes to that is made with what `scope` knows.
    pub(crate) fn of(request: &Request, connection: &LiveConnection, scope: &dyn Scope) -> Self {
        let origin = origin_brought(request, connection, scope);
        let origin = origin.map(|origin| if origin.len() > LONGEST_ORIGIN { NO_ORIGIN.to_owned() } else { origin });
        Self { origin, ..Self::of_plan(request, connection) }
    }

    /// Returns the same of a request whose address no run has a say in.
    pub(crate) fn of_plan(request: &Request, connection: &LiveConnection) -> Self {
        let plan = &connection.plan;
        let api = request.via.clone().filter(|via| plan.apis.contains_key(via));
        Self { connection: plan.name.clone(), api, origin: None }
    }

    /// Reads what `Display` has written.
    pub(crate) fn parse(text: &str) -> Self {
        let (rest, origin) = text.split_once(AT).map_or((text, None), |(rest, origin)| (rest, Some(origin.to_owned())));
        let (connection, api) = rest.split_once(VIA).map_or((rest, None), |(name, api)| (name, Some(api.to_owned())));
        Self { connection: connection.to_owned(), api, origin }
    }
}

/// For people, and the name under which the store has it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.connection)?;
        if let Some(api) = &self.api {
            write!(f, "{VIA}{api}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, "{AT}{origin}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_back_from_its_name() {
        for (name, api, origin) in [
            ("stripe", None, None),
            ("customerio via app", Some("app"), None),
            ("hooks at https://a.example:8443", None, Some("https://a.example:8443")),
            ("hooks via app at http://[::1]:80", Some("app"), Some("http://[::1]:80")),
            ("", None, None),
        ] {
            let target = Target::parse(name);
            assert_eq!((target.api.as_deref(), target.origin.as_deref(), target.to_string().as_str()), (api, origin, name));
        }
    }
}
