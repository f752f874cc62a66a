//! What texts in a file look like: for editors, which do not know how they are read. What a pattern lets through may be refused
//! with a better sentence by what reads it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::address::{ConnectTo, ProxyUrl, Resolve};
use crate::arrival::Arrival;
use crate::check::Check;
use crate::options::ReadyWhen;
use crate::quantity::{Rate, Span, Stages, Timeout};

/// A set of CPUs, whose type is another crate's.
pub(crate) struct CpuList;

/// Types that are texts in a file: a pattern, and an example.
macro_rules! texts {
    ($($type:ident: $pattern:expr, $example:expr;)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    )*};
}

texts! {
    Span: r"^(0|([0-9.]+(ns|us|µs|μs|ms|s|m|h))+)$", "10s";
    Timeout: r"^([0-9.]+|([0-9.]+(ns|us|µs|μs|ms|s|m|h))+)$", "20s";
    Stages: r"^\s*[^@,]+@[^@,]+(,[^@,]+@[^@,]+)*$", "30s@100,60s@500";
    Arrival: r"^(poisson|uniform|burst:\+?[0-9]+)$", "poisson";
    Check: r"^\s*(status|header|body)", "status == 200";
    ProxyUrl: r"^[^\s]+$", "127.0.0.1:3128";
    Resolve: r"^.+:[0-9]+:.+$", "example.com:443:127.0.0.1";
    ConnectTo: r"^.*:.*:.*:.*$", "example.com:443:127.0.0.1:8443";
    CpuList: r"^\s*[0-9]+(\s*-\s*[0-9]+)?(\s*,\s*[0-9]+(\s*-\s*[0-9]+)?)*\s*$", "0-1";
    ReadyWhen: r"^(notify|/[!-~]*)$", "/health";
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "number", "minimum": 0, "maximum": 1e8 },
                { "type": "string", "pattern": r"^[0-9.]+[kK]?(/s)?$", "examples": ["50k"] },
            ]
        })
    }
}

/// A list of assertions, whose type is another crate's.
pub(crate) fn assertions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "pattern": r"^[^=!<>]+(==|=|!=|<=|<|>=|>)[^=!<>]+$", "examples": ["p99 < 400ms"] }
    })
}
