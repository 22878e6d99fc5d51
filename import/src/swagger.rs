//! Swagger 2.0 as OpenAPI 3: what was renamed and moved in between. Only what the import looks at is carried over.

use crate::document::{MOST_DEPTH, Node, Object};

/// Returns the description in the form of version 3.
pub(crate) fn upgrade(root: &Node) -> Node {
    let root = renamed(root, 0);
    let mut out = Object::default();
    out.set("openapi".to_owned(), text("3.0.0"));
    for name in ["info", "tags", "externalDocs", "security"] {
        copy(&root, name, &mut out, name);
    }
    let host = root.text_at("host").unwrap_or("");
    let base = root.text_at("basePath").unwrap_or("").trim_end_matches('/');
    let schemes: Vec<&str> = root.items_at("schemes").iter().filter_map(Node::text).collect();
    let scheme = if schemes.contains(&"http") && !schemes.contains(&"https") { "http" } else { "https" };
    let url = if host.is_empty() { format!("/{}", base.trim_start_matches('/')) } else { format!("{scheme}://{host}{base}") };
    out.set("servers".to_owned(), Node::List(vec![object([("url", text(&url))])]));
    let mut components = Object::default();
    copy(&root, "definitions", &mut components, "schemas");
    let schemes = root.entries_at("securityDefinitions").iter().map(|(name, scheme)| (name.clone(), security(scheme)));
    components.set("securitySchemes".to_owned(), Node::Object(fields(schemes)));
    out.set("components".to_owned(), Node::Object(components));
    let paths = root.entries_at("paths").iter().map(|(path, item)| {
        let shared = item.items_at("parameters");
        let operations = item.entries().iter().filter(|(name, _)| name != "parameters");
        (path.clone(), Node::Object(fields(operations.map(|(method, node)| (method.clone(), operation(&root, node, shared))))))
    });
    out.set("paths".to_owned(), Node::Object(fields(paths)));
    Node::Object(out)
}

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn object<const N: usize>(fields: [(&str, Node); N]) -> Node {
    Node::Object(self::fields(fields.into_iter().map(|(name, node)| (name.to_owned(), node))))
}

fn fields(entries: impl Iterator<Item = (String, Node)>) -> Object {
    let mut object = Object::default();
    entries.for_each(|(name, node)| object.set(name, node));
    object
}

fn copy(from: &Node, name: &str, to: &mut Object, as_name: &str) {
    if let Some(node) = from.get(name) {
        to.set(as_name.to_owned(), node.clone());
    }
}

/// The same with references to where things stand now.
fn renamed(node: &Node, depth: usize) -> Node {
    match node {
        _ if depth > MOST_DEPTH * 2 => Node::Null,
        Node::List(items) => Node::List(items.iter().map(|item| renamed(item, depth + 1)).collect()),
        Node::Object(object) => Node::Object(fields(object.entries().iter().map(|(name, value)| match (name.as_str(), value) {
            ("$ref", Node::Text(pointer)) => {
                (name.clone(), text(&pointer.replacen("#/definitions/", "#/components/schemas/", 1)))
            }
            ("x-nullable", value) => ("nullable".to_owned(), value.clone()),
            (_, value) => (name.clone(), renamed(value, depth + 1)),
        }))),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => node.clone(),
    }
}

fn security(scheme: &Node) -> Node {
    match scheme.text_at("type") {
        Some("basic") => object([("type", text("http")), ("scheme", text("basic"))]),
        _ => scheme.clone(),
    }
}

/// What a reference within the document leads to.
fn resolved<'n>(root: &'n Node, node: &'n Node) -> &'n Node {
    let Some(path) = node.text_at("$ref").and_then(|pointer| pointer.strip_prefix("#/")) else { return node };
    path.split('/').try_fold(root, |node, part| node.get(&part.replace("~1", "/").replace("~0", "~"))).unwrap_or(node)
}

fn operation(root: &Node, node: &Node, shared: &[Node]) -> Node {
    let Node::Object(before) = node else { return node.clone() };
    let kept = before
        .entries()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "parameters" | "responses" | "consumes" | "produces"));
    let mut out = fields(kept.cloned());
    let all: Vec<&Node> = node.items_at("parameters").iter().map(|node| resolved(root, node)).collect();
    let named = |node: &Node| (node.text_at("in").map(str::to_owned), node.text_at("name").map(str::to_owned));
    let own: Vec<_> = all.iter().map(|node| named(node)).collect();
    let shared = shared.iter().map(|node| resolved(root, node)).filter(|node| !own.contains(&named(node)));
    let all: Vec<&Node> = all.iter().copied().chain(shared).take(300).collect();
    let place = |node: &Node| node.text_at("in").unwrap_or("").to_owned();
    let parameters = all.iter().filter(|node| !matches!(place(node).as_str(), "body" | "formData"));
    out.set("parameters".to_owned(), Node::List(parameters.map(|node| parameter(node)).collect()));
    let consumes = kinds(root, node, "consumes");
    if let Some(body) = all.iter().find(|node| place(node) == "body") {
        let kind = consumes.iter().find(|kind| kind.contains("json")).or(consumes.first());
        let schema = body.get("schema").cloned().unwrap_or(Node::Null);
        out.set(
            "requestBody".to_owned(),
            carried(kind.map_or("application/json", String::as_str), schema, body.is_true("required")),
        );
    }
    let form: Vec<&Node> = all.iter().copied().filter(|node| place(node) == "formData").collect();
    if !form.is_empty() {
        out.set("requestBody".to_owned(), self::form(&form, &consumes));
    }
    let produces = kinds(root, node, "produces");
    let kind = produces.iter().find(|kind| kind.contains("json")).or(produces.first());
    let kind = kind.map_or("application/json", String::as_str);
    let responses = node.entries_at("responses").iter().map(|(status, node)| {
        let answer = resolved(root, node);
        let content = answer.get("schema").map(|schema| object([(kind, object([("schema", schema.clone())]))]));
        (status.clone(), object([("content", content.unwrap_or(Node::Object(Object::default())))]))
    });
    out.set("responses".to_owned(), Node::Object(fields(responses)));
    Node::Object(out)
}

fn kinds(root: &Node, node: &Node, name: &str) -> Vec<String> {
    let own = node.items_at(name);
    let all = if own.is_empty() { root.items_at(name) } else { own };
    all.iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn carried(kind: &str, schema: Node, required: bool) -> Node {
    let media = object([("schema", schema)]);
    object([("required", Node::Bool(required)), ("content", object([(kind, media)]))])
}

/// The schema that stands in a parameter itself.
fn schema(node: &Node) -> Node {
    let about = ["name", "in", "required", "description", "collectionFormat", "allowEmptyValue"];
    let Node::Object(object) = node else { return Node::Null };
    let kept = object.entries().iter().filter(|(name, _)| !about.contains(&name.as_str()));
    let mut schema = fields(kept.cloned());
    if node.text_at("type") == Some("file") {
        schema.set("type".to_owned(), text("string"));
        schema.set("format".to_owned(), text("binary"));
    }
    Node::Object(schema)
}

fn parameter(node: &Node) -> Node {
    let mut out = Object::default();
    for name in ["name", "in", "required", "description"] {
        copy(node, name, &mut out, name);
    }
    out.set("schema".to_owned(), schema(node));
    for (name, value) in list_style(node) {
        out.set(name.to_owned(), value);
    }
    Node::Object(out)
}

/// How a list is written.
fn list_style(node: &Node) -> Vec<(&'static str, Node)> {
    if node.text_at("type") != Some("array") {
        return Vec::new();
    }
    let style = |style: &str| vec![("style", text(style)), ("explode", Node::Bool(false))];
    match node.text_at("collectionFormat").unwrap_or("csv") {
        "csv" => vec![("explode", Node::Bool(false))],
        "multi" => vec![("explode", Node::Bool(true))],
        "pipes" => style("pipeDelimited"),
        "ssv" => style("spaceDelimited"),
        // Nothing of version 3 is like tabs.
        other => style(other),
    }
}

fn form(parameters: &[&Node], consumes: &[String]) -> Node {
    let name = |node: &Node| node.text_at("name").unwrap_or("").to_owned();
    let properties = parameters.iter().map(|node| {
        let mut property = schema(node);
        if let (Node::Object(fields), Some(docs)) = (&mut property, node.get("description")) {
            fields.set("description".to_owned(), docs.clone());
        }
        (name(node), property)
    });
    let required = parameters.iter().filter(|node| node.is_true("required")).map(|node| text(&name(node))).collect();
    let all =
        object([("type", text("object")), ("required", Node::List(required)), ("properties", Node::Object(fields(properties)))]);
    let file = parameters.iter().any(|node| node.text_at("type") == Some("file"));
    let parts = file
        || consumes.iter().any(|kind| kind.starts_with("multipart/")) && !consumes.iter().any(|kind| kind.contains("urlencoded"));
    let kind = if parts { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
    let encoding = parameters.iter().filter(|node| node.text_at("type") == Some("array")).map(|node| {
        let style = list_style(node).into_iter().map(|(name, value)| (name.to_owned(), value));
        (name(node), Node::Object(fields(style)))
    });
    let media = object([("schema", all), ("encoding", Node::Object(fields(encoding)))]);
    object([("required", Node::Bool(true)), ("content", object([(kind, media)]))])
}
