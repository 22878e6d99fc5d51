//! The source of a connector. The formatter brings it into its form afterwards.

use std::collections::HashSet;

use crate::name;
use crate::operation::{Operation, Part};
use crate::record::{Field, Record, Records, Ty};
use crate::service::Service;
use crate::words;

/// How wide headings are.
const WIDTH: usize = 110;

/// Writes a connector.
pub(crate) fn connector(service: &Service, records: &Records<'_, '_>, parts: &[Part]) -> String {
    let outputs = parts.iter().filter_map(|part| match part {
        Part::Operation(operation) => operation.output.as_ref(),
        Part::Section(_) | Part::Comment(_) => None,
    });
    let printer = Printer { records, used: records.used(outputs) };
    let mut out = String::new();
    comment(&mut out, "##", &service.docs);
    out.push_str(&format!("connector {} {} {{\n", service.name, words::quoted(&service.title)));
    for text in &service.lines {
        line(&mut out, text);
    }
    let used = || records.list().iter().enumerate().filter(|(at, _)| printer.used.contains(at)).map(|(_, record)| record);
    if used().next().is_some() {
        heading(&mut out, "records");
    }
    for record in used() {
        printer.record(&mut out, record);
    }
    for part in parts {
        match part {
            Part::Section(title) => heading(&mut out, title),
            Part::Operation(operation) => printer.operation(&mut out, operation),
            Part::Comment(text) => {
                out.push('\n');
                comment(&mut out, "#", &words::lines(text, 400));
            }
        }
    }
    out.push_str("}\n");
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn comment(out: &mut String, sign: &str, lines: &[String]) {
    for text in lines {
        // A comment of three signs would be another kind of comment.
        line(out, &format!("{sign} {text}"));
    }
}

fn heading(out: &mut String, title: &str) {
    let dashes = "-".repeat(WIDTH.saturating_sub(title.chars().count()).max(3));
    line(out, &format!("\n# {dashes} {title}"));
}

/// Returns an enum as a type.
pub(crate) fn members(members: &[String], open: bool) -> String {
    let known = members.iter().filter(|member| *member != "other");
    let mut words: Vec<String> = known
        .map(
            |member| {
                if name::is_plain(member) && !flow_grammar::is_reserved(member) { member.clone() } else { words::key(member) }
            },
        )
        .collect();
    if open || members.iter().any(|member| member == "other") {
        words.push("other".to_owned());
    }
    if let ([one], false) = (words.as_slice(), open) {
        return words::key(one.trim_matches('"'));
    }
    words.join(" | ")
}

struct Printer<'r, 's, 'd> {
    records: &'r Records<'s, 'd>,
    used: HashSet<usize>,
}

impl Printer<'_, '_, '_> {
    fn record(&self, out: &mut String, record: &Record) {
        out.push('\n');
        comment(out, "#", &record.notes);
        comment(out, "##", &record.docs);
        line(out, &format!("record {} {{", record.name));
        self.fields(out, &record.fields);
        line(out, "}");
    }

    fn fields(&self, out: &mut String, fields: &[Field]) {
        for field in fields {
            comment(out, "##", &field.docs);
            let mut text = format!("{}: {}", name::written(&field.name), self.ty(&field.ty, field.optional));
            if let Some(from) = &field.from {
                text.push_str(&format!(" from {}", words::key(from)));
            }
            for attribute in &field.attributes {
                text.push_str(&format!(" {attribute}"));
            }
            line(out, &text);
        }
    }

    fn operation(&self, out: &mut String, operation: &Operation) {
        out.push('\n');
        for note in &operation.notes {
            comment(out, "#", &words::lines(note, 300));
        }
        comment(out, "##", &operation.docs);
        let word = if operation.action { "action" } else { "query" };
        out.push_str(&format!("{word} {}", name::written(&operation.name)));
        if !operation.inputs.is_empty() {
            out.push_str("(\n");
            for input in &operation.inputs {
                let field = &input.field;
                comment(out, "##", &field.docs);
                let mut text = format!("{}: {}", name::written(&field.name), self.ty(&field.ty, field.optional));
                for attribute in &field.attributes {
                    text.push_str(&format!(" {attribute}"));
                }
                line(out, &format!("{text},"));
            }
            out.push(')');
        }
        if let Some(output) = &operation.output {
            out.push_str(&format!(" -> {}", self.ty(output, operation.optional)));
        }
        line(out, " {");
        for text in &operation.lines {
            line(out, text);
        }
        line(out, "}");
    }

    fn ty(&self, ty: &Ty, optional: bool) -> String {
        let mark = if optional { "?" } else { "" };
        match ty {
            Ty::Plain(name, words) if words.is_empty() => format!("{name}{mark}"),
            Ty::Plain(name, words) => format!("{name}{mark} {words}"),
            Ty::Enum { members, open } => format!("{}{mark}", self::members(members, *open)),
            Ty::List(inner) => format!("list<{}>{mark}", self.ty(inner, false)),
            Ty::Map(inner) => format!("map<{}>{mark}", self.ty(inner, false)),
            Ty::Record(at) => match self.records.list().get(*at) {
                Some(record) => format!("{}{mark}", record.name),
                None => "json".to_owned(),
            },
            Ty::Id(key) => {
                match self.records.with_id(key).filter(|at| self.used.contains(at)).and_then(|at| self.records.list().get(at)) {
                    Some(record) => format!("id<{}>{mark}", record.name),
                    None => "json".to_owned(),
                }
            }
            Ty::Inline(fields) => {
                let mut text = String::from("{\n");
                self.fields(&mut text, fields);
                format!("{text}}}{mark}")
            }
            Ty::Json => format!("json{mark}"),
        }
    }
}
