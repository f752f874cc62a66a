//! How is a document laid out as text? Objects over lines, arrays of scalars on one.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// The JSON text of a value, with a newline at its end. The same value gives the same bytes.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Layout::default());
    #[expect(clippy::expect_used, reason = "our types have string keys, and writing to memory cannot fail")]
    value.serialize(&mut serializer).expect("a document serialises into memory");
    bytes.push(b'\n');
    #[expect(clippy::expect_used, reason = "serde_json writes UTF-8")]
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// A series of an hour has thousands of numbers: one number to a line would triple the file and hide the rest of it.
#[derive(Default)]
struct Layout {
    open: Vec<Container>,
}

struct Container {
    is_array: bool,
    /// Whether its members stand on lines of their own.
    has_lines: bool,
}

impl Layout {
    fn new_line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        // Arrays of scalars never break lines, so every open container on the way indents.
        self.open.iter().try_for_each(|_| writer.write_all(b"  "))
    }

    fn end<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.open.pop().is_some_and(|closed| closed.has_lines) {
            self.new_line(writer)?;
        }
        writer.write_all(bracket)
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.push(Container { is_array: true, has_lines: false });
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.open.last().is_some_and(|outer| outer.is_array) {
            self.new_line(writer)?;
            if let Some(outer) = self.open.last_mut() {
                outer.has_lines = true;
            }
        }
        self.open.push(Container { is_array: false, has_lines: false });
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        if let Some(object) = self.open.last_mut() {
            object.has_lines = true;
        }
        self.new_line(writer)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_take_lines_and_arrays_of_scalars_one() {
        let value = serde_json::json!({
            "empty": {},
            "none": [],
            "numbers": [1, 2, 3],
            "objects": [{"a": 1}, {"b": ["x", "y"]}],
            "text": "t",
        });
        let expected = r#"{
  "empty": {},
  "none": [],
  "numbers": [1,2,3],
  "objects": [
    {
      "a": 1
    },
    {
      "b": ["x","y"]
    }
  ],
  "text": "t"
}
"#;
        assert_eq!(to_text(&value), expected);
        assert_eq!(serde_json::from_str::<serde_json::Value>(expected).unwrap(), value);
    }
}
