//! Arrays of Arrow as cells.

use crate::cell::{Kind, boolean, finite, numeral, time};
use crate::{Cells, Texts};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};

/// A cell that cannot be read, and why.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) row: usize,
    pub(crate) problem: String,
}

/// How a column of this type is read by itself.
pub(crate) fn kind(of: &DataType) -> Option<Kind> {
    use DataType as T;
    match of {
        T::Boolean => Some(Kind::Boolean),
        T::Date32 | T::Date64 | T::Timestamp(..) => Some(Kind::Time),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => Some(Kind::Text),
        T::Dictionary(_, values) => kind(values),
        T::Null | T::Time32(_) | T::Time64(_) | T::Duration(_) | T::Decimal128(..) => Some(Kind::Number),
        of if of.is_integer() || of.is_floating() => Some(Kind::Number),
        _ => None,
    }
}

/// Whether a column of this type can be read as `wanted`. Text can be read as anything, as in CSV.
pub(crate) fn fits(of: &DataType, wanted: Kind) -> bool {
    match (kind(of), wanted) {
        (Some(found), wanted) if found == wanted => true,
        (Some(Kind::Text), _) | (Some(_), Kind::Numeral) => true,
        (Some(Kind::Number), Kind::Boolean) => true,
        (Some(_), _) => *of == DataType::Null,
        (None, _) => false,
    }
}

/// What a cell holds.
enum Value<'a> {
    Missing,
    Number(f64),
    Boolean(bool),
    /// Microseconds since 1970.
    Time(i64),
    Text(&'a str),
}

/// The cells of an array, read as `kind`.
pub(crate) fn cells(array: &dyn Array, kind: Kind) -> Result<Cells, Wrong> {
    let mut cells = crate::text::none_yet(kind);
    let mut wrong = None;
    visit(array, &mut |row, value| {
        if wrong.is_none()
            && let Err(problem) = add(&mut cells, kind, &value)
        {
            wrong = Some(Wrong { row, problem });
        }
    })?;
    wrong.map_or(Ok(cells), Err)
}

fn add(cells: &mut Cells, kind: Kind, value: &Value<'_>) -> Result<(), String> {
    let unfit = |found: &str| Err(format!("expected {}, found {found}", kind.in_words()));
    match (cells, value) {
        (Cells::Numbers(values), Value::Missing) => values.push(f32::NAN),
        (Cells::Numbers(values), Value::Number(found)) if found.is_nan() => values.push(f32::NAN),
        (Cells::Numbers(values), Value::Number(found)) => match finite(*found) {
            Some(value) if kind == Kind::Number || [0.0, 1.0].contains(&value) => values.push(value),
            _ => return unfit(&found.to_string()),
        },
        (Cells::Numbers(values), Value::Boolean(found)) => values.push(f32::from(u8::from(*found))),
        (Cells::Numbers(values), Value::Text(found)) => {
            let value = match kind {
                Kind::Boolean => boolean(found).map(|found| f32::from(u8::from(found))),
                _ => found.parse().ok().and_then(finite),
            };
            match value {
                Some(value) => values.push(value),
                None if found.is_empty() => values.push(f32::NAN),
                None => return unfit(&format!("`{}`", crate::text::shown(found))),
            }
        }
        (Cells::Times(values), Value::Missing) => values.push(Cells::NO_TIME),
        (Cells::Times(values), Value::Time(found)) => values.push(*found),
        (Cells::Times(values), Value::Text(found)) => match time(found) {
            Some(value) => values.push(value),
            None if found.is_empty() => values.push(Cells::NO_TIME),
            None => return unfit(&format!("`{}`", crate::text::shown(found))),
        },
        (Cells::Texts(texts), value) => add_text(texts, kind, value),
        (Cells::Numbers(_), Value::Time(_)) => return unfit("a date"),
        (Cells::Times(_), Value::Number(_) | Value::Boolean(_)) => return unfit("no date"),
    }
    Ok(())
}

fn add_text(texts: &mut Texts, kind: Kind, value: &Value<'_>) {
    match value {
        Value::Missing => texts.push(None),
        Value::Number(found) if found.is_nan() => texts.push(None),
        Value::Number(found) => texts.push(Some(&numeral(*found))),
        Value::Boolean(found) => texts.push(Some(if *found { "true" } else { "false" })),
        Value::Time(found) => texts.push(Some(&found.to_string())),
        Value::Text(found) => {
            let found = found.trim();
            let number = found.parse::<f64>().ok().filter(|_| kind == Kind::Numeral);
            texts.push(Some(&number.map_or_else(|| found.to_owned(), numeral)));
        }
    }
}

type See<'a> = &'a mut dyn FnMut(usize, Value<'_>);

/// Shows every cell of an array to `see`.
fn visit(array: &dyn Array, see: See<'_>) -> Result<(), Wrong> {
    use DataType as T;
    const DAY: i64 = 86_400_000_000;
    match array.data_type() {
        T::Null => (0..array.len()).for_each(|row| see(row, Value::Missing)),
        T::Boolean => {
            let array = array.as_boolean();
            each(array, see, |row| Value::Boolean(array.value(row)));
        }
        T::Utf8 => {
            let array = array.as_string::<i32>();
            each(array, see, |row| Value::Text(array.value(row)));
        }
        T::LargeUtf8 => {
            let array = array.as_string::<i64>();
            each(array, see, |row| Value::Text(array.value(row)));
        }
        T::Utf8View => {
            let array = array.as_string_view();
            each(array, see, |row| Value::Text(array.value(row)));
        }
        T::Int8 => numbers::<Int8Type>(array, see, f64::from),
        T::Int16 => numbers::<Int16Type>(array, see, f64::from),
        T::Int32 => numbers::<Int32Type>(array, see, f64::from),
        T::Int64 => numbers::<Int64Type>(array, see, |value| value as f64),
        T::UInt8 => numbers::<UInt8Type>(array, see, f64::from),
        T::UInt16 => numbers::<UInt16Type>(array, see, f64::from),
        T::UInt32 => numbers::<UInt32Type>(array, see, f64::from),
        T::UInt64 => numbers::<UInt64Type>(array, see, |value| value as f64),
        T::Float16 => numbers::<Float16Type>(array, see, f64::from),
        T::Float32 => numbers::<Float32Type>(array, see, f64::from),
        T::Float64 => numbers::<Float64Type>(array, see, |value| value),
        T::Decimal128(_, scale) => {
            let divisor = 10f64.powi(i32::from(*scale));
            numbers::<Decimal128Type>(array, see, |value| value as f64 / divisor);
        }
        T::Time32(TimeUnit::Second) => numbers::<Time32SecondType>(array, see, f64::from),
        T::Time32(_) => numbers::<Time32MillisecondType>(array, see, |v| f64::from(v) / 1e3),
        T::Time64(TimeUnit::Microsecond) => numbers::<Time64MicrosecondType>(array, see, |v| v as f64 / 1e6),
        T::Time64(_) => numbers::<Time64NanosecondType>(array, see, |v| v as f64 / 1e9),
        T::Duration(TimeUnit::Second) => numbers::<DurationSecondType>(array, see, |v| v as f64),
        T::Duration(TimeUnit::Millisecond) => {
            numbers::<DurationMillisecondType>(array, see, |v| v as f64 / 1e3);
        }
        T::Duration(TimeUnit::Microsecond) => {
            numbers::<DurationMicrosecondType>(array, see, |v| v as f64 / 1e6);
        }
        T::Duration(TimeUnit::Nanosecond) => {
            numbers::<DurationNanosecondType>(array, see, |v| v as f64 / 1e9);
        }
        T::Date32 => times::<Date32Type>(array, see, |days| i64::from(days).checked_mul(DAY)),
        T::Date64 => times::<Date64Type>(array, see, |millis| millis.checked_mul(1000)),
        T::Timestamp(TimeUnit::Second, _) => {
            times::<TimestampSecondType>(array, see, |seconds| seconds.checked_mul(1_000_000));
        }
        T::Timestamp(TimeUnit::Millisecond, _) => {
            times::<TimestampMillisecondType>(array, see, |millis| millis.checked_mul(1000));
        }
        T::Timestamp(TimeUnit::Microsecond, _) => times::<TimestampMicrosecondType>(array, see, Some),
        T::Timestamp(TimeUnit::Nanosecond, _) => {
            times::<TimestampNanosecondType>(array, see, |nanos| Some(nanos.div_euclid(1000)));
        }
        T::Dictionary(..) => return dictionary(array, see),
        other => return Err(Wrong { row: 0, problem: format!("cells of type {other} cannot be read") }),
    }
    Ok(())
}

fn each<'a>(array: &dyn Array, see: See<'_>, value: impl Fn(usize) -> Value<'a>) {
    for row in 0..array.len() {
        see(row, if array.is_null(row) { Value::Missing } else { value(row) });
    }
}

fn numbers<T: ArrowPrimitiveType>(array: &dyn Array, see: See<'_>, number: impl Fn(T::Native) -> f64) {
    let array = array.as_primitive::<T>();
    each(array, see, |row| Value::Number(number(array.value(row))));
}

/// A moment beyond all years is missing: nothing else can be meant by it.
fn times<T: ArrowPrimitiveType>(array: &dyn Array, see: See<'_>, micros: impl Fn(T::Native) -> Option<i64>) {
    let array = array.as_primitive::<T>();
    each(array, see, |row| micros(array.value(row)).map_or(Value::Missing, Value::Time));
}

/// Keys are shown as the values that they stand for.
fn dictionary(array: &dyn Array, see: See<'_>) -> Result<(), Wrong> {
    let array = array.as_any_dictionary();
    let (keys, values) = (array.keys(), array.values());
    if values.is_empty() {
        (0..keys.len()).for_each(|row| see(row, Value::Missing));
        return Ok(());
    }
    // A dictionary is short: each of its values is read once, and kept as text or number.
    let mut known: Vec<Owned> = Vec::with_capacity(values.len());
    visit(values.as_ref(), &mut |_, value| known.push(Owned::of(&value)))?;
    let positions = array.normalized_keys();
    for row in 0..keys.len() {
        see(row, if keys.is_null(row) { Value::Missing } else { known[positions[row]].value() });
    }
    Ok(())
}

/// A value of a dictionary.
enum Owned {
    Missing,
    Number(f64),
    Boolean(bool),
    Time(i64),
    Text(String),
}

impl Owned {
    fn of(value: &Value<'_>) -> Self {
        match *value {
            Value::Missing => Self::Missing,
            Value::Number(value) => Self::Number(value),
            Value::Boolean(value) => Self::Boolean(value),
            Value::Time(value) => Self::Time(value),
            Value::Text(value) => Self::Text(value.to_owned()),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Missing => Value::Missing,
            Self::Number(value) => Value::Number(*value),
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Time(value) => Value::Time(*value),
            Self::Text(value) => Value::Text(value),
        }
    }
}
