//! `flowc docs`.

use flow::project::{Project, ProjectError};
use flow_compiler::compile::Compiler;
use flow_compiler::docs;

use crate::Exit;
use crate::args::Docs;
use flow::output;

pub(crate) fn run(args: &Docs) -> Result<Exit, ProjectError> {
    let project = Project::of(&args.project)?;
    let mut compiler = Compiler::new(project.config(false)?.config.settings);
    // Connectors of one's own are documented as well, whether or not the project's flows are sound.
    if project.single.is_none() {
        for (name, text) in project.read(&project.files()?)?.files {
            compiler.set(&name, text);
        }
    }
    let catalog = compiler.catalog();
    let path = args.path.as_deref().unwrap_or("");
    Ok(match docs::docs(&catalog, path) {
        Some(page) => {
            output::out(&page);
            Exit::Well
        }
        None => {
            let shown = flow::terminal::printable(path);
            let near = docs::docs_candidates(&catalog, path);
            let hint = if near.is_empty() {
                "`flowc docs` lists what there is".to_owned()
            } else {
                format!("did you mean {}?", near.join(" or "))
            };
            Exit::Usage(format!("nothing is called `{shown}`; {hint}"))
        }
    })
}
