//! Reads the rotary embedding from `config.json`, which different versions of transformers write differently.
//!
//! | transformers | fields |
//! |---|---|
//! | to 4.42 | `rope_theta`, and `rope_scaling`: null, or `{"type": "linear", "factor": 4}` |
//! | to 4.57 | the same with `rope_type`, often beside `type`; `"default"` means no scaling |
//! | 5 | `rope_parameters`: `{"rope_type": "linear", "factor": 4, "rope_theta": 1e6}`, or such an object for each kind of layer |

use serde_json::{Map, Value};

/// The parameters of Llama's rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rope {
    /// Base of the wavelengths, above 0.
    pub theta: f64,
    /// Positions are divided by this, above 0; 1 without scaling.
    pub scale: f64,
}

/// The default of transformers for a `config.json` without `rope_theta`.
const THETA: f64 = 10_000.0;

impl Rope {
    /// Reads the parameters from a whole `config.json`.
    ///
    /// # Errors
    /// The field, its value, and what is accepted.
    pub fn read(config: &Value) -> Result<Self, String> {
        let theta = number(config, "rope_theta")?;
        whole_rotary(config).map_err(|said| format!("partial_rotary_factor is {said}"))?;
        let mut said = Vec::new();
        for name in ["rope_parameters", "rope_scaling"] {
            match config.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::Object(fields)) => {
                    for fields in layers(fields) {
                        said.push((name, Self::of(name, fields, theta)?));
                    }
                }
                Some(other) => {
                    return Err(format!("{name} is {other}; accepted: an object, or null"))
                }
            }
        }
        let Some((first, rope)) = said.first().copied() else {
            return Ok(Self {
                theta: theta.unwrap_or(THETA),
                scale: 1.0,
            });
        };
        match said.iter().find(|(_, other)| *other != rope) {
            None => Ok(rope),
            Some((other, found)) => Err(format!(
                "{first} says theta {} and factor {}, {other} theta {} and factor {}; accepted: one for all layers",
                rope.theta, rope.scale, found.theta, found.scale
            )),
        }
    }

    fn of(name: &str, fields: &Map<String, Value>, outside: Option<f64>) -> Result<Self, String> {
        let value = Value::Object(fields.clone());
        let inside = number(&value, "rope_theta").map_err(|e| format!("{name}.{e}"))?;
        let theta = match (inside, outside) {
            (Some(inside), Some(outside)) if inside != outside => {
                return Err(format!(
                    "{name}.rope_theta is {inside}, and rope_theta is {outside}; accepted: one of the two, or the same twice"
                ))
            }
            (inside, outside) => inside.or(outside).unwrap_or(THETA),
        };
        whole_rotary(&value).map_err(|said| format!("{name}.partial_rotary_factor is {said}"))?;
        let kinds = ["rope_type", "type"].map(|key| fields.get(key).filter(|v| !v.is_null()));
        let mut scale = 1.0;
        for kind in kinds.into_iter().flatten() {
            match kind.as_str() {
                Some("default") => {}
                Some("linear") => {
                    let factor = number(&value, "factor").map_err(|e| format!("{name}.{e}"))?;
                    scale = factor.ok_or(format!(
                        "{name} is linear and has no factor; accepted: a number above 0"
                    ))?;
                }
                _ => {
                    return Err(format!(
                        "{name} is of the type {kind}; accepted: \"default\", \"linear\""
                    ))
                }
            }
        }
        Ok(Self { theta, scale })
    }
}

/// The objects for each kind of layer, or the one object for all.
fn layers(fields: &Map<String, Value>) -> Vec<&Map<String, Value>> {
    let inner: Vec<_> = fields.values().filter_map(Value::as_object).collect();
    match inner.len() == fields.len() {
        true => inner,
        false => vec![fields],
    }
}

/// Checks that all numbers of a head are rotated.
///
/// # Errors
/// The value of the field, and what is accepted.
fn whole_rotary(fields: &Value) -> Result<(), String> {
    match fields.get("partial_rotary_factor") {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_f64() == Some(1.0) => Ok(()),
        Some(value) => Err(format!("{value}; accepted: 1")),
    }
}

/// A field that is a number above 0, or `None` where it is absent or null.
fn number(config: &Value, name: &str) -> Result<Option<f64>, String> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if number > 0.0 && number.is_finite() => Ok(Some(number)),
            _ => Err(format!("{name} is {value}; accepted: a number above 0")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(f64, f64), String> {
        let rope = Rope::read(&serde_json::from_str(json).unwrap())?;
        Ok((rope.theta, rope.scale))
    }

    #[test]
    fn every_year_s_form_is_read() {
        for (json, expected) in [
            ("{}", (1e4, 1.0)),
            (r#"{"rope_theta": 1000000}"#, (1e6, 1.0)),
            (r#"{"rope_scaling": null, "rope_theta": 5e5}"#, (5e5, 1.0)),
            (r#"{"rope_scaling": {}}"#, (1e4, 1.0)),
            (
                r#"{"rope_scaling": {"type": "linear", "factor": 4}}"#,
                (1e4, 4.0),
            ),
            (
                r#"{"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 2.5}}"#,
                (1e4, 2.5),
            ),
            (r#"{"rope_scaling": {"rope_type": "default"}}"#, (1e4, 1.0)),
            (
                r#"{"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}}"#,
                (1e6, 1.0),
            ),
            (
                r#"{"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6, "partial_rotary_factor": 1.0}}"#,
                (1e6, 4.0),
            ),
            (
                r#"{"rope_theta": 1e6, "rope_parameters": {"rope_type": "default"}}"#,
                (1e6, 1.0),
            ),
            (
                r#"{"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2, "rope_theta": 7}}}"#,
                (7.0, 2.0),
            ),
            (
                r#"{"rope_scaling": null, "rope_parameters": null}"#,
                (1e4, 1.0),
            ),
        ] {
            assert_eq!(read(json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn what_cannot_be_computed_is_refused_by_name() {
        for (json, word) in [
            (r#"{"rope_theta": 0}"#, "rope_theta is 0"),
            (r#"{"rope_theta": "big"}"#, "rope_theta is \"big\""),
            (r#"{"rope_scaling": "linear"}"#, "rope_scaling is"),
            (
                r#"{"rope_scaling": {"type": "dynamic", "factor": 2}}"#,
                "dynamic",
            ),
            (
                r#"{"rope_parameters": {"rope_type": "llama3", "factor": 8}}"#,
                "llama3",
            ),
            (r#"{"rope_scaling": {"type": "linear"}}"#, "no factor"),
            (
                r#"{"rope_scaling": {"type": "linear", "factor": -1}}"#,
                "rope_scaling.factor is -1",
            ),
            (
                r#"{"rope_theta": 1e4, "rope_parameters": {"rope_theta": 1e6}}"#,
                "the same twice",
            ),
            (
                r#"{"rope_parameters": {"partial_rotary_factor": 0.5}}"#,
                "partial_rotary_factor is 0.5",
            ),
            (
                r#"{"partial_rotary_factor": 0.5}"#,
                "partial_rotary_factor is 0.5; accepted: 1",
            ),
            (
                r#"{"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default"}}"#,
                "one for all layers",
            ),
            (
                r#"{"rope_parameters": {"a": {"rope_theta": 1}, "b": {"rope_theta": 2}}}"#,
                "one for all layers",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
    }
}
