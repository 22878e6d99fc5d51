//! `flowc lock`.

use std::collections::BTreeSet;
use std::sync::Arc;

use flow::project::{Project, ProjectError, distinct, write_whole};
use flow_compiler::lock::{self, Lock};

use crate::args;
use crate::commands::expand::report_errors;
use crate::{Exit, load};
use flow::output;

pub(crate) fn run(args: &args::Lock) -> Result<Exit, ProjectError> {
    if args.paths.iter().any(|path| path.as_os_str() == "-") {
        return Ok(Exit::Usage("flow.lock belongs to a project; standard input has none".to_owned()));
    }
    let mut done = BTreeSet::new();
    for path in distinct(&args.paths) {
        let project = Project::of(&path)?;
        if !done.insert(project.single.clone().unwrap_or_else(|| project.root.clone())) {
            continue;
        }
        // The whole project, whichever part of it was named.
        let root = project.single.clone().unwrap_or_else(|| project.root.clone());
        let loaded = load::load(&[root], load::Want { freeze: true, verdict_only: true, ..load::Want::default() })?;
        if report_errors(&loaded) {
            output::err("flow.lock is left as it is");
            return Ok(Exit::Problems);
        }
        for one in loaded {
            write(&project, one.lock)?;
        }
    }
    Ok(Exit::Well)
}

fn write(project: &Project, mut lock: Lock) -> Result<(), ProjectError> {
    let before = project.lock()?;
    let flows = lock.flows.len();
    if let Some(single) = &project.single {
        // Of the other files of the folder nothing is known now: what was frozen of them stays.
        let name = project.name(single);
        let frozen = before.as_ref().and_then(|text| lock::parse(&Arc::from(lock::FILE), text).ok()).unwrap_or_default();
        for (id, flow) in frozen.flows.into_iter().filter(|(_, flow)| flow.file != name) {
            if project.root.join(&flow.file).is_file() {
                lock.flows.entry(id).or_insert(flow);
            }
        }
    }
    let text = lock.write();
    let path = project.lock_path();
    let counted = format!("{flows} flow{}", if flows == 1 { "" } else { "s" });
    if before.as_deref() == Some(text.as_str()) {
        output::err(&format!("flow.lock: {counted}, nothing changed"));
        return Ok(());
    }
    write_whole(&path, &text)
        .map_err(|error| ProjectError::Unwritable { path: path.display().to_string(), reason: flow::secrets::reason(&error) })?;
    let verb = if before.is_some() { "changed" } else { "written" };
    output::err(&format!("flow.lock: {counted}, {verb}"));
    Ok(())
}
