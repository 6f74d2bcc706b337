//! The part of XPath 1.0 that a document of two levels needs.
//!
//! Specification: <https://www.w3.org/TR/1999/REC-xpath-19991116/>. Paths of `/`, `//`, names and `*`; predicates with
//! `@name`, strings, numbers, `= != < > <= >=`, `and`, `or`, parentheses, `not`, `contains`, `starts-with`, `position`,
//! `last`, and a number as a position. Not handled: axes, arithmetic, other functions, node sets inside predicates.

use super::{Device, by_bus};

/// Parentheses and `not(` inside each other; more is nobody's query.
const MAX_DEPTH: usize = 32;

/// A location path.
#[derive(Debug)]
pub(super) struct Path {
    absolute: bool,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// `//` stands before it.
    anywhere: bool,
    /// `*` is empty.
    name: String,
    predicates: Vec<Expr>,
}

#[derive(Debug)]
enum Expr {
    Attribute(String),
    Text(String),
    Number(f64),
    Position,
    Last,
    Not(Box<Expr>),
    Contains(Box<Expr>, Box<Expr>),
    StartsWith(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(&'static str, Box<Expr>, Box<Expr>),
}

/// A node of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Document,
    Usb,
    Bus(usize),
    Device(usize),
}

#[derive(Debug)]
enum Value {
    Text(String),
    Number(f64),
    Bool(bool),
    /// An attribute that is not there.
    Nothing,
}

impl Path {
    /// Parses a path.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let path = parser.path()?;
        parser.blanks();
        if parser.at < text.len() {
            return Err(parser.wrong("the end"));
        }
        Ok(path)
    }

    /// Returns the indices of the devices that the path selects, in their order.
    pub(super) fn choose(&self, devices: &[Device]) -> Vec<usize> {
        let document = Document { devices, buses: by_bus(devices) };
        let mut nodes = vec![if self.absolute { Node::Document } else { Node::Usb }];
        for step in &self.steps {
            let mut next = Vec::new();
            let mut contexts = Vec::new();
            for node in nodes {
                if step.anywhere { document.descend(node, &mut contexts) } else { contexts.push(node) }
            }
            for context in contexts {
                for node in document.step(context, step) {
                    if !next.contains(&node) {
                        next.push(node);
                    }
                }
            }
            nodes = next;
        }
        let device = |node: &Node| match node {
            Node::Device(at) => Some(*at),
            _ => None,
        };
        let mut chosen: Vec<usize> = nodes.iter().filter_map(device).collect();
        chosen.sort_unstable();
        chosen
    }
}

struct Document<'a> {
    devices: &'a [Device],
    buses: Vec<(u16, Vec<usize>)>,
}

impl Document<'_> {
    fn children(&self, node: Node) -> Vec<Node> {
        match node {
            Node::Document => vec![Node::Usb],
            Node::Usb => (0..self.buses.len()).map(Node::Bus).collect(),
            Node::Bus(at) => self.buses[at].1.iter().copied().map(Node::Device).collect(),
            Node::Device(_) => Vec::new(),
        }
    }

    fn descend(&self, node: Node, into: &mut Vec<Node>) {
        into.push(node);
        for child in self.children(node) {
            self.descend(child, into);
        }
    }

    fn name(node: Node) -> &'static str {
        match node {
            Node::Document => "",
            Node::Usb => "usb",
            Node::Bus(_) => "bus",
            Node::Device(_) => "device",
        }
    }

    fn attribute(&self, node: Node, name: &str) -> Option<String> {
        match (node, name) {
            (Node::Bus(at), "id") => Some(format!("{:03}", self.buses[at].0)),
            (Node::Bus(at), "path") => Some(format!("/dev/bus/usb/{:03}", self.buses[at].0)),
            (Node::Device(at), name) => self.devices[at].attribute(name).map(str::to_owned),
            _ => None,
        }
    }

    fn step(&self, context: Node, step: &Step) -> Vec<Node> {
        let named = |node: &Node| step.name.is_empty() || step.name == Self::name(*node);
        let mut nodes: Vec<Node> = self.children(context).into_iter().filter(named).collect();
        for predicate in &step.predicates {
            let last = nodes.len();
            let holds = |(at, node): (usize, Node)| {
                let place = Place { document: self, node, position: at + 1, last };
                let holds = match place.value(predicate) {
                    Value::Number(number) => number == place.position as f64,
                    value => truth(&value),
                };
                holds.then_some(node)
            };
            nodes = nodes.into_iter().enumerate().filter_map(holds).collect();
        }
        nodes
    }
}

struct Place<'a> {
    document: &'a Document<'a>,
    node: Node,
    position: usize,
    last: usize,
}

impl Place<'_> {
    fn value(&self, expr: &Expr) -> Value {
        let truth_of = |expr: &Expr| truth(&self.value(expr));
        let text_of = |expr: &Expr| text(&self.value(expr));
        Value::Bool(match expr {
            Expr::Attribute(name) => {
                return self.document.attribute(self.node, name).map_or(Value::Nothing, Value::Text);
            }
            Expr::Text(text) => return Value::Text(text.clone()),
            Expr::Number(number) => return Value::Number(*number),
            Expr::Position => return Value::Number(self.position as f64),
            Expr::Last => return Value::Number(self.last as f64),
            Expr::Not(inner) => !truth_of(inner),
            Expr::Contains(a, b) => text_of(a).contains(&text_of(b)),
            Expr::StartsWith(a, b) => text_of(a).starts_with(&text_of(b)),
            Expr::And(a, b) => truth_of(a) && truth_of(b),
            Expr::Or(a, b) => truth_of(a) || truth_of(b),
            Expr::Compare(operator, a, b) => compare(operator, &self.value(a), &self.value(b)),
        })
    }
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::Number(number) => *number != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::Nothing => false,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Nothing => String::new(),
    }
}

fn compare(operator: &str, a: &Value, b: &Value) -> bool {
    // What is not there is neither equal nor unequal to anything.
    if matches!(a, Value::Nothing) || matches!(b, Value::Nothing) {
        return false;
    }
    let number = |value: &Value| match value {
        Value::Number(number) => *number,
        value => text(value).trim().parse().unwrap_or(f64::NAN),
    };
    let equal = || match (a, b) {
        (Value::Bool(_), _) | (_, Value::Bool(_)) => truth(a) == truth(b),
        (Value::Number(_), _) | (_, Value::Number(_)) => number(a) == number(b),
        _ => text(a) == text(b),
    };
    match operator {
        "=" => equal(),
        "!=" => !equal(),
        "<" => number(a) < number(b),
        ">" => number(a) > number(b),
        "<=" => number(a) <= number(b),
        _ => number(a) >= number(b),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.wrong(token)) }
    }

    fn wrong(&self, expected: &str) -> String {
        format!("the query {:?} has no {expected} at character {}", self.text, self.at + 1)
    }

    /// Takes a name, with `-` and `_`; empty when there is none.
    fn name(&mut self) -> String {
        self.blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && !"_-".contains(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or("").to_owned();
        if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            self.at += end;
            name
        } else {
            String::new()
        }
    }

    fn path(&mut self) -> Result<Path, String> {
        let mut anywhere = self.take("//");
        let absolute = anywhere || self.take("/");
        let mut steps = Vec::new();
        loop {
            let name = if self.take("*") { String::new() } else { self.name() };
            if name.is_empty() && !self.text.get(..self.at).is_some_and(|t| t.ends_with('*')) {
                return Err(self.wrong("name"));
            }
            let mut predicates = Vec::new();
            while self.take("[") {
                predicates.push(self.or()?);
                self.expect("]")?;
            }
            steps.push(Step { anywhere, name, predicates });
            anywhere = self.take("//");
            if !anywhere && !self.take("/") {
                return Ok(Path { absolute, steps });
            }
        }
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut left = self.comparison()?;
        while self.word("and") {
            left = Expr::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    /// Takes an operator that is a word.
    fn word(&mut self, word: &str) -> bool {
        let before = self.at;
        let found = self.name() == word;
        if !found {
            self.at = before;
        }
        found
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let left = self.operand()?;
        for operator in ["!=", "<=", ">=", "=", "<", ">"] {
            if self.take(operator) {
                return Ok(Expr::Compare(operator, Box::new(left), Box::new(self.operand()?)));
            }
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("simpler form"));
        }
        let operand = self.bare_operand();
        self.depth -= 1;
        operand
    }

    fn bare_operand(&mut self) -> Result<Expr, String> {
        if self.take("(") {
            let inner = self.or()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.take("@") {
            let name = self.name();
            return if name.is_empty() { Err(self.wrong("name")) } else { Ok(Expr::Attribute(name)) };
        }
        for quote in ["'", "\""] {
            if self.take(quote) {
                let end = self.rest().find(quote).ok_or_else(|| self.wrong("closing quote"))?;
                let text = self.rest().get(..end).unwrap_or("").to_owned();
                self.at += end + 1;
                return Ok(Expr::Text(text));
            }
        }
        let digits = self.rest().len()
            - self.rest().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        if digits > 0 {
            let number = self.rest().get(..digits).and_then(|n| n.parse().ok());
            let number = number.ok_or_else(|| self.wrong("number"))?;
            self.at += digits;
            return Ok(Expr::Number(number));
        }
        let before = self.at;
        let name = self.name();
        match name.as_str() {
            "position" | "last" => {
                self.expect("(")?;
                self.expect(")")?;
                Ok(if name == "last" { Expr::Last } else { Expr::Position })
            }
            "not" => {
                self.expect("(")?;
                let inner = self.or()?;
                self.expect(")")?;
                Ok(Expr::Not(Box::new(inner)))
            }
            "contains" | "starts-with" => {
                self.expect("(")?;
                let a = Box::new(self.operand()?);
                self.expect(",")?;
                let b = Box::new(self.operand()?);
                self.expect(")")?;
                Ok(if name == "contains" { Expr::Contains(a, b) } else { Expr::StartsWith(a, b) })
            }
            _ => {
                self.at = before;
                Err(self.wrong("value"))
            }
        }
    }
}
