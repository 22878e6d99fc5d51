//! `flowc explain`.

use flow_compiler::Code;
use flow_compiler::suggest::nearest;

use crate::Exit;
use crate::args::Explain;
use flow::output;

pub(crate) fn run(args: &Explain) -> Exit {
    let Some(text) = &args.code else {
        for code in Code::ALL {
            output::out(&format!("{code}  {}\n", code.title()));
        }
        return Exit::Well;
    };
    if let Some(code) = Code::parse(text) {
        output::out(code.page());
        return Exit::Well;
    }
    let known = Code::ALL.iter().map(|code| code.as_str());
    let hint = match nearest(&text.to_uppercase(), known) {
        Some(best) => format!("did you mean {best}? "),
        None => String::new(),
    };
    Exit::Usage(format!("there is no code {}; {hint}`flowc explain` lists them all", flow::terminal::printable(text)))
}
