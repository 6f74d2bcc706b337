//! `core::text`.

use genpack_core::text::diagnostic::{Position, Severity, Span};
use genpack_core::text::ini::{self, Item};
use genpack_core::text::json5::{Event, Mode, Reader, emit, number};
use genpack_core::text::kernel_cmdline;

use crate::{Input, Sink, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    json5_events,
    json_events,
    json5_strings,
    json5_integers,
    json5_doubles,
    json5_emit_string,
    json5_emit_number,
    json5_errors,
    ini_system,
    ini_vm,
    ini_values,
    ini_findings,
    cmdline,
    places,
];

fn json5_events(input: &Input<'_>, _: &mut Work) {
    drain(Reader::new(input.text, Mode::Json5));
}

fn json_events(input: &Input<'_>, _: &mut Work) {
    drain(Reader::new(input.text, Mode::Json));
}

fn json5_strings(input: &Input<'_>, _: &mut Work) {
    for (_, event) in Reader::new(input.text, Mode::Json5).flatten() {
        if let Event::Key(raw) | Event::String(raw) = event {
            see((raw.raw(), raw.has_escapes(), raw.as_str(), raw.is(input.other)));
            drain(raw.chars());
        }
    }
}

fn json5_integers(input: &Input<'_>, _: &mut Work) {
    see((number::to_i64(input.text), number::to_u64(input.text)));
}

fn json5_doubles(input: &Input<'_>, _: &mut Work) {
    see(number::to_f64(input.text));
}

fn json5_emit_string(input: &Input<'_>, _: &mut Work) {
    see(emit::write_string(input.text, &mut Sink));
}

fn json5_emit_number(input: &Input<'_>, _: &mut Work) {
    see(number::write_json(input.text, &mut Sink));
}

fn json5_errors(input: &Input<'_>, _: &mut Work) {
    for error in Reader::new(input.text, Mode::Json5).filter_map(Result::err) {
        see((error.offset(), error.class(), error.hint()));
        show(error);
    }
}

fn ini_system(input: &Input<'_>, _: &mut Work) {
    drain(ini::Reader::new(input.text));
}

fn ini_vm(input: &Input<'_>, _: &mut Work) {
    for item in ini::Reader::with_dialect(input.text, &ini::VM_INI) {
        if let Item::Section { name, .. } = item {
            see(ini::VM_INI.is_same_section(name, input.other));
        }
    }
}

fn ini_values(input: &Input<'_>, _: &mut Work) {
    for item in ini::Reader::new(input.text) {
        if let Item::Entry(entry) = item {
            see((entry.key_is(input.other), entry.joint()));
            drain(entry.lines());
        }
    }
    see((ini::parse_bool(input.text), ini::parse_bool_letter(input.text), ini::parse_integer(input.text)));
}

fn ini_findings(input: &Input<'_>, _: &mut Work) {
    for item in ini::Reader::new(input.text) {
        if let Item::Finding(finding) = item {
            show(finding.kind);
        }
    }
}

fn cmdline(input: &Input<'_>, _: &mut Work) {
    for parameter in kernel_cmdline::parameters(input.text) {
        see((parameter.is(input.other), parameter.is_on()));
    }
    see((kernel_cmdline::last(input.text, input.other), kernel_cmdline::value(input.text, input.other)));
    see(kernel_cmdline::switch(input.text, input.other, input.bytes.is_empty()));
}

fn places(input: &Input<'_>, _: &mut Work) {
    let span = Span::new(input.short(0), input.short(4));
    see((span.len(), span.is_empty(), Position::of(input.bytes, span.start)));
    see(if span.is_empty() { Severity::Note } else { Severity::Error }.word());
}
