//! Which argument is which input.

use flow_functions::{Given, Spec};
use flow_grammar::syntax::{self, Arg, Call};

use super::super::super::check::{Checker, listed};
use crate::code::Code;
use crate::suggest::nearest;

/// The arguments of a call.
pub(super) struct Values<'c> {
    /// By input.
    pub(super) by_param: Vec<Option<&'c Arg>>,
    /// As written.
    pub(super) all: &'c [Arg],
}

impl<'a> Checker<'a> {
    /// Returns the arguments by input, or reports that they are too few, too many, or none of this function. With
    /// `several`, all are values like the first.
    pub(super) fn given<'c>(
        &mut self,
        expr: &syntax::Expr,
        call: &'c Call,
        spec: &'static Spec,
        several: bool,
    ) -> Option<Values<'c>> {
        let mut values = Values { by_param: vec![None; spec.params.len()], all: &call.args };
        if several {
            if let Some(named) = call.args.iter().find(|arg| arg.name.is_some()) {
                self.unknown_input(named, spec);
                return None;
            }
            return Some(values);
        }
        let mut next = 0;
        for arg in &call.args {
            let place = match &arg.name {
                None => {
                    next += 1;
                    Some(next - 1).filter(|place| *place < spec.params.len())
                }
                Some(name) => spec.params.iter().position(|param| param.name == name.text),
            };
            match place.and_then(|place| values.by_param.get_mut(place)) {
                Some(empty @ None) => *empty = Some(arg),
                Some(Some(_)) => {
                    let name = place.and_then(|place| spec.params.get(place)).map_or("", |param| param.name);
                    let diagnostic = self.diagnostic(Code::E205, arg.span, format!("`{name}` is given twice")).help(format!(
                        "`{}`: {}",
                        spec.signature(),
                        spec.brief
                    ));
                    self.report(diagnostic);
                    return None;
                }
                None if arg.name.is_some() => {
                    self.unknown_input(arg, spec);
                    return None;
                }
                None => {
                    self.wrong_count(expr, call, spec);
                    return None;
                }
            }
        }
        let lacks = spec
            .params
            .iter()
            .zip(&values.by_param)
            .any(|(param, arg)| arg.is_none() && matches!(param.given, Given::Always | Given::More));
        if lacks {
            self.wrong_count(expr, call, spec);
            return None;
        }
        Some(values)
    }

    fn wrong_count(&mut self, expr: &syntax::Expr, call: &Call, spec: &'static Spec) {
        let least = spec.params.iter().filter(|param| matches!(param.given, Given::Always | Given::More)).count();
        let most = spec.params.len();
        let word = |count: usize| ["no", "one", "two", "three"].get(count).copied().unwrap_or("several");
        let takes = match most - least {
            0 if most == 1 => "one value".to_owned(),
            0 => format!("{} values", word(most)),
            1 => format!("{} or {} values", word(least), word(most)),
            _ => format!("{} to {} values", word(least), word(most)),
        };
        let missing: Vec<&str> = spec
            .params
            .iter()
            .skip(call.args.len())
            .filter(|param| param.given == Given::Always)
            .map(|param| param.name)
            .collect();
        let mut diagnostic = self.diagnostic(Code::E204, expr.span, format!("`{}` takes {takes}", spec.name)).label(
            if missing.is_empty() || call.args.is_empty() || call.args.iter().any(|arg| arg.name.is_some()) {
                format!("found {}", call.args.len())
            } else {
                format!("{} is not there", listed(&missing, "and"))
            },
        );
        if let Some(example) = spec.examples.first() {
            diagnostic = diagnostic.help(format!("`{}`: {}; for example `{}`", spec.signature(), spec.brief, example.0));
        }
        self.report(diagnostic);
    }

    fn unknown_input(&mut self, arg: &Arg, spec: &'static Spec) {
        let Some(name) = &arg.name else { return };
        let names: Vec<&str> = spec.params.iter().map(|param| param.name).collect();
        let mut diagnostic = self.diagnostic(Code::E204, name.span, format!("`{}` has no `{}`", spec.name, name.text));
        let found = match name.text.as_str() {
            "zone" | "timezone" | "tz" | "time_zone" => names.iter().copied().find(|name| *name == "in"),
            "decimals" | "places" | "precision" => names.iter().copied().find(|name| *name == "digits"),
            "separator" | "sep" | "delimiter" => names.iter().copied().find(|name| matches!(*name, "by" | "with")),
            other => nearest(other, names.iter().copied()),
        };
        diagnostic = diagnostic.help(format!("`{}`", spec.signature()));
        if let Some(found) = found {
            diagnostic = diagnostic.fix(format!("`{found}`"), name.span, found, true);
        }
        self.report(diagnostic);
    }
}
