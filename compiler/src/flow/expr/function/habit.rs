//! Functions by the names that they have elsewhere.

use flow_functions::Habit;
use flow_grammar::syntax::{Call, ExprKind, Ident};

use super::super::super::check::{Checker, listed};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::suggest::nearest;

impl<'a> Checker<'a> {
    /// Reports a function that does not exist.
    pub(in crate::flow) fn unknown_function(&mut self, name: &Ident, call: &Call) {
        let text = name.text.as_str();
        if text == "now" {
            let mut diagnostic = self.diagnostic(Code::E201, call.span, "`now` is a value, not a function");
            if call.args.is_empty() {
                diagnostic = diagnostic.fix("`now`", call.span, "now", true);
            }
            self.report(diagnostic);
            return;
        }
        let diagnostic = self.diagnostic(Code::E201, name.span, format!("there is no function `{text}`"));
        let own: Vec<String> = self
            .connections
            .iter()
            .filter(|(_, connector)| connector.operations.get(text).is_some_and(|op| !op.internal))
            .map(|(connection, _)| format!("{connection}.{text}"))
            .collect();
        let diagnostic = match (flow_functions::habit(text), own.as_slice()) {
            (Some(habit), _) => self.called_here(diagnostic, habit, name, call),
            (None, [only]) => diagnostic.help(format!("operations are named with their connection: `{only}`")).fix(
                format!("`{only}`"),
                name.span,
                only.clone(),
                true,
            ),
            (None, []) => match nearest(text, flow_functions::ALL.iter().map(|spec| spec.name)).and_then(flow_functions::find) {
                Some(found) => diagnostic.help(format!("did you mean `{}`: {}?", found.name, found.brief)).fix(
                    format!("`{}`", found.name),
                    name.span,
                    found.name,
                    true,
                ),
                None => diagnostic.help("`flowc docs functions` lists what there is"),
            },
            (None, several) => diagnostic.help(format!("operations are named with their connection: {}", listed(several, "or"))),
        };
        self.report(diagnostic);
    }

    /// Says what a name of elsewhere is here.
    fn called_here(&self, diagnostic: Diagnostic, habit: Habit, name: &Ident, call: &Call) -> Diagnostic {
        match habit {
            Habit::Is(known) => {
                let Some(spec) = flow_functions::find(known) else { return diagnostic };
                // Where it takes so many values, it is surely meant.
                let fits = call.args.len() <= spec.params.len() && call.args.iter().all(|arg| arg.name.is_none());
                let needed = spec.params.iter().filter(|param| param.given == flow_functions::Given::Always).count();
                diagnostic.help(format!("here it is `{}`: {}", spec.signature(), spec.brief)).fix(
                    format!("`{known}`"),
                    name.span,
                    known,
                    fits && call.args.len() >= needed && !spec.asks_items(),
                )
            }
            Habit::Like(known, how) => diagnostic.help(format!("`{known}` does that: {how}")),
            Habit::Write(count, form, what) => {
                let mut form = form.to_owned();
                if call.args.len() != count {
                    return diagnostic.help(format!("here that is `{}`: {what}", shown(&form)));
                }
                let mut plain = true;
                for (at, arg) in call.args.iter().enumerate() {
                    let text = self.text_of(&arg.value);
                    let in_text = format!("{{{{{at}}}}}");
                    if let Some(literal) = literal(&text).filter(|_| form.contains(&in_text)) {
                        form = form.replace(&in_text, literal);
                    } else {
                        if matches!(arg.value.kind.as_ref(), ExprKind::Number(_)) {
                            form = form.replace(&format!("-({{{at}}})"), &format!("-{{{at}}}"));
                        }
                        form = form.replace(&in_text, &format!("{{{text}}}")).replace(&format!("{{{at}}}"), &text);
                    }
                    plain &= is_plain(arg.value.kind.as_ref());
                }
                diagnostic.help(format!("here that is `{form}`: {what}")).fix(format!("`{form}`"), call.span, form, plain)
            }
            Habit::None(why) => diagnostic.help(why),
        }
    }

    /// `customer_email.lower()`: what other languages call a method.
    pub(in crate::flow) fn method_habit(&mut self, call: &Call) -> bool {
        let [base @ .., last] = call.path.as_slice() else { return false };
        let known = flow_functions::find(&last.text).or_else(|| match flow_functions::habit(&last.text) {
            Some(Habit::Is(known)) => flow_functions::find(known),
            _ => None,
        });
        let (Some(first), Some(spec)) = (base.first(), known) else { return false };
        if self.connection(&first.text).is_some() {
            return false;
        }
        // Of these the parser has told.
        if matches!(last.text.as_str(), "lower" | "upper" | "trim" | "strip" | "lowercase" | "uppercase" | "downcase" | "upcase")
            || matches!(last.text.as_str(), "toLowerCase" | "toUpperCase" | "toFixed")
        {
            self.broken = true;
            return true;
        }
        let of = base.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let values = std::iter::once(of).chain(call.args.iter().map(|arg| match &arg.name {
            Some(name) => format!("{}: {}", name.text, self.text_of(&arg.value)),
            None => self.text_of(&arg.value),
        }));
        let fixed = format!("{}({})", spec.name, values.collect::<Vec<_>>().join(", "));
        let safe = call.args.is_empty() && spec.params.iter().skip(1).all(|param| param.given != flow_functions::Given::Always);
        let diagnostic = self.diagnostic(Code::E108, call.span, format!("functions stand before their value: `{fixed}`")).fix(
            format!("`{fixed}`"),
            call.span,
            fixed,
            safe,
        );
        self.report(diagnostic);
        true
    }
}

/// The form with `…` in the places of its values.
fn shown(form: &str) -> String {
    form.replace("{{0}}", "{…}").replace("{{1}}", "{…}").replace("{0}", "…").replace("{1}", "…")
}

/// The content of a text in quotes.
fn literal(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// Whether the value can stand beside an operator as it is.
fn is_plain(kind: &ExprKind) -> bool {
    matches!(kind, ExprKind::Name(_) | ExprKind::Field(..) | ExprKind::Text(_) | ExprKind::Number(_) | ExprKind::Call(_))
}
