//! Calls that say what their answer is.

use flow_compiler::compile::{Compilation, Compiler};
use flow_compiler::settings::Settings;
use flow_plan::{Expr, JsonPath, Shape, Value};

const ACME: &str = "connector acme \"Acme\" {\n  ## The weather.\n  record Weather {\n    temperature: number from \"current.temp\"\n    sky: clear | cloudy\n    wind: number?\n  }\n}\n";

fn compile(steps: &str) -> Compilation {
    let mut compiler = Compiler::new(Settings::default());
    compiler.set("acme.flow", ACME);
    compiler
        .set("main.flow", format!("flow it\n  when stripe.new_dispute\n  do {{\n{steps}\n    stop because \"{{id}}\"\n  }}\n"));
    compiler.compile()
}

/// Returns what is said about these steps.
fn told(steps: &str) -> String {
    let compilation = compile(steps);
    let lines: Vec<String> = compilation.errors().map(|one| format!("{}: {}", one.code, one.message)).collect();
    lines.join("\n")
}

#[test]
fn the_operation_of_such_a_call_reads_its_answer_so() {
    let compilation = compile(
        "    let one = http.get(url: \"https://a.example\", record: acme.Weather)\n    let many = http.get(url: \"https://a.example\", record: [acme.Weather])\n    let plain = http.get(url: \"https://a.example\")",
    );
    assert_eq!(compilation.errors().count(), 0);
    let flow = &compilation.units["main.flow"].flows[0];
    let shapes: Vec<_> = flow.operations.iter().map(|one| (one.answer.at.clone(), one.answer.shape.clone())).collect();
    let body = JsonPath::parse("body").unwrap();
    let [(at, Some(Shape::Record(one))), (_, Some(Shape::List(many))), (root, Some(Shape::Record(plain)))] = shapes.as_slice()
    else {
        panic!("{shapes:#?}")
    };
    assert_eq!((at, one.len(), one[0].from[0].path.to_string().as_str()), (&body, 3, "current.temp"));
    assert!(matches!(many.as_ref(), Shape::Record(fields) if fields == one));
    assert_eq!((root, plain[0].name.as_str()), (&JsonPath::default(), "status"));
}

#[test]
fn a_model_gets_the_schema_of_what_is_asked_for() {
    let compilation = compile("    let found = ai.extract(text: \"x\", fields: acme.Weather)");
    assert_eq!(compilation.errors().count(), 0);
    let flow = &compilation.units["main.flow"].flows[0];
    let call = flow.program.instrs.iter().find_map(|instr| match instr {
        flow_plan::Instr::Call(call) => Some(call),
        _ => None,
    });
    let schema = call.unwrap().args.iter().find_map(|arg| match &arg.value {
        Expr::Const(schema @ Value::Record(_)) => Some(schema.to_json()),
        _ => None,
    });
    let expected = serde_json::json!({
        "type": "object", "description": "The weather.", "additionalProperties": false, "required": ["temperature", "sky", "wind"],
        "properties": {
            "temperature": { "type": ["number", "null"] },
            "sky": { "type": ["string", "null"], "enum": ["clear", "cloudy", null] },
            "wind": { "type": ["number", "null"] },
        },
    });
    assert_eq!(schema.unwrap(), expected);
}

#[test]
fn mistakes_are_told_where_they_are() {
    let get = |record: &str| told(&format!("    let a = http.get(url: \"https://a.example\", record: {record})"));
    assert_eq!(get("acme.Wether"), "E201: the connector acme has no record `Wether`");
    assert_eq!(get("acmee.Weather"), "E201: there is no connector `acmee`");
    assert_eq!(get("txt"), "E301: `txt` is no type");
    assert_eq!(get("[text, int]"), "E301: a list is of one type, a choice of texts");
    assert_eq!(get("{ title: [text?] }"), "E108: `?` stands behind the type of a field");
    assert_eq!(get("acme.Weather?"), "E108: `?` stands behind the type of a field");
    assert_eq!(
        told("    http.post(url: \"https://a.example\", json: { a: id? })"),
        "E108: `?` stands behind a type, and this is a value"
    );
    assert_eq!(get("{ title }"), "E301: of what type is `title`?");
    assert_eq!(told("    let a = ai.extract(text: \"x\", fields: { a: json })"), "E301: any JSON cannot be asked for");
    assert_eq!(told("    let a = ai.extract(text: \"x\")"), "E401: `fields` of `ai.extract` is not given");
    // One cause, one message: nothing is said of the result of such a call.
    let used = |call: &str| told(&format!("    let a = {call}\n    log(\"{{a.m}} {{a.n}}\")"));
    assert_eq!(used("ai.extract(text: \"x\", record: { n: int, m: text })"), "E204: `ai.extract` has no input `record`");
    assert_eq!(used("http.get(url: \"https://a.example\", record: { n: decimal, m: text })"), "E301: `decimal` is no type");
    let unknown = "    let a = http.get(url: \"https://a.example\", record: acme.Weather)\n    if a.rain > 3 { stop }";
    assert_eq!(told(unknown), "E201: `a` has no field `rain`");
}
