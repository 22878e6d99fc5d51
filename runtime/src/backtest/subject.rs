//! A flow of the edited file and the live one that it is another version of.

use std::sync::Arc;

use flow_plan::{Flow, Instr, StartKind};

use crate::store::StoredEvent;

/// A flow that is tried.
pub(super) struct Subject {
    /// The edited version, under the id of the live one, so that runs have one id in both.
    pub(super) edited: Arc<Flow>,
    /// The live version; `None` for a flow that is new.
    pub(super) live: Option<Arc<Flow>>,
    /// What of it cannot be tried, and what has to be known to read the result.
    pub(super) notes: Vec<String>,
    /// Nothing of it can be tried.
    pub(super) is_blind: bool,
}

/// Returns the flows of the edited file with their live versions, and those live flows of the file that it has no more.
pub(super) fn pair(file: &str, edited: &[Arc<Flow>], live: &[Arc<Flow>]) -> (Vec<Subject>, Vec<Arc<Flow>>) {
    let known = |flow: &Flow| live.iter().find(|known| known.id == flow.id).cloned();
    let mut pairs: Vec<(Arc<Flow>, Option<Arc<Flow>>)> = edited.iter().map(|flow| (Arc::clone(flow), known(flow))).collect();
    let is_left = |known: &&Arc<Flow>| known.file == file && !edited.iter().any(|flow| flow.id == known.id);
    let mut gone: Vec<Arc<Flow>> = live.iter().filter(is_left).cloned().collect();
    // A nameless flow is known by its text: an edit makes another one of it. In the order of the file they are the same.
    let nameless = |flow: &Arc<Flow>| flow.name.is_none();
    let new = pairs.iter().filter(|(flow, live)| live.is_none() && nameless(flow)).count();
    if gone.iter().filter(|flow| nameless(flow)).count() == new {
        let mut before = gone.iter().filter(|flow| nameless(flow)).cloned().collect::<Vec<_>>().into_iter();
        for (flow, live) in pairs.iter_mut().filter(|(flow, live)| live.is_none() && nameless(flow)) {
            *live = before.next();
            if let Some(live) = live {
                *flow = Arc::new(under_id(flow, &live.id));
            }
        }
        gone.retain(|flow| !nameless(flow));
    }
    let subjects = pairs.into_iter().map(|(edited, live)| Subject::new(&edited, live)).collect();
    (subjects, gone)
}

/// The flow under another id. What the clock starts is of the type of the flow's id.
fn under_id(flow: &Flow, id: &str) -> Flow {
    let mut flow = Flow { id: id.to_owned(), ..flow.clone() };
    for used in flow.triggers.iter_mut().filter(|used| !matches!(used.kind, StartKind::Event)) {
        used.types = vec![id.to_owned()];
    }
    flow
}

impl Subject {
    fn new(edited: &Flow, live: Option<Arc<Flow>>) -> Self {
        let mut flow = edited.clone();
        let mut notes = Vec::new();
        flow.triggers.retain(|used| match &used.kind {
            StartKind::State(state) => {
                let (connection, name) = (&used.connection, &state.state);
                notes.push(format!("starts by the state {connection}.{name} are left out: states are not recorded"));
                false
            }
            StartKind::Absence(_) => {
                notes.push("silences are counted from the beginning of the time that is looked at".to_owned());
                true
            }
            StartKind::Schedule(_) | StartKind::Event => true,
        });
        let is_blind = flow.triggers.is_empty();
        if flow.limits
            != (flow_plan::Limits { fresh_ms: flow.limits.fresh_ms, expect: flow.limits.expect.clone(), ..Default::default() })
        {
            notes.push("limits begin with nothing counted, and steps take no time".to_owned());
        }
        Self { edited: Arc::new(flow), live, notes, is_blind }
    }

    pub(super) fn id(&self) -> &str {
        &self.edited.id
    }

    /// Tells whether a run of the edited flow may wait for an event like this one.
    pub(super) fn waits_for(&self, event: &StoredEvent) -> bool {
        self.edited.program.instrs.iter().any(|instr| match instr {
            Instr::WaitFor(wait) => {
                let used = &wait.trigger;
                used.connection == event.connection && used.source == event.source && event.is_of(&used.name, &used.types)
            }
            _ => false,
        })
    }

    pub(super) fn waits_for_events(&self) -> bool {
        self.edited.program.instrs.iter().any(|instr| matches!(instr, Instr::WaitFor(_)))
    }
}
