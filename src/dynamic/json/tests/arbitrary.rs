//! Random values of any type, as reading would give them.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::*;

/// How many values are compared: `VALUES` in the environment, else so many.
pub fn count(default: u64) -> u64 {
    std::env::var("VALUES").map_or(default, |count| count.parse().expect("VALUES is no number"))
}

/// How deeply values are nested that do not have to end: below what is let pass, with room for what a
/// struct has in it.
const DEPTH: u32 = 40;

/// A source of random values that is the same each time for the same seed.
pub struct Random {
    state: u64,
    /// How many values may still be made; then everything is as small as can be.
    left: u32,
    /// How many structs the one that is made is in.
    depth: u32,
    /// Whether values may be what the `capnp` tool does not show: text that is no UTF-8, a
    /// union's member that is null. Nor does it read letters in `\u001d`: 0.9 takes it for
    /// `\u0013`.
    pub odd: bool,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        let state = seed ^ 0x9e37_79b9_7f4a_7c15;
        Self {
            state,
            left: 400,
            depth: 0,
            odd: true,
        }
    }

    pub fn next(&mut self) -> u64 {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Numbers at the ends of their range as often as others.
    fn bits(&mut self) -> u64 {
        match self.below(5) {
            0 => self.next(),
            1 => 0,
            2 => u64::MAX,
            3 => 1 << self.below(64),
            _ => self.below(100),
        }
    }

    fn length(&mut self) -> u64 {
        match self.left {
            0 => 0,
            _ => self.below(4),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(12);
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    fn text(&mut self) -> Vec<u8> {
        if self.odd && self.below(10) == 0 {
            return self.bytes();
        }
        let length = self.below(6);
        let text: String = (0..length)
            .map(|_| match self.below(4) {
                0 => char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()).unwrap_or('"'),
                1 => '\\',
                2 => 'é',
                _ => char::from(b'a' + u8::try_from(self.below(26)).unwrap()),
            })
            .collect();
        if self.odd {
            return text.into_bytes();
        }
        let is_taken = |c: &char| !matches!(c, '\u{b}' | '\u{e}'..='\u{f}' | '\u{1a}'..='\u{1f}');
        text.chars()
            .filter(is_taken)
            .collect::<String>()
            .into_bytes()
    }

    /// A value of this type that is not null.
    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    pub fn value(&mut self, ty: &Type) -> Json {
        self.left = self.left.saturating_sub(1);
        match ty {
            Type::Void => Json::Null,
            Type::Bool => (self.below(2) == 1).into(),
            Type::Int8 => (self.bits() as i8).into(),
            Type::Int16 => (self.bits() as i16).into(),
            Type::Int32 => (self.bits() as i32).into(),
            Type::Int64 => self.bits().cast_signed().into(),
            Type::UInt8 => (self.bits() as u8).into(),
            Type::UInt16 => (self.bits() as u16).into(),
            Type::UInt32 => (self.bits() as u32).into(),
            Type::UInt64 => self.bits().into(),
            Type::Float32 => scalar::show_float32(f32::from_bits(self.bits() as u32)),
            Type::Float64 => scalar::show_float64(f64::from_bits(self.bits())),
            Type::Text => scalar::show_text(&self.text()),
            Type::Data => scalar::hex(&self.bytes()).into(),
            Type::List(element) => {
                let length = self.length();
                let values = (0..length).map(|_| self.element(element));
                Json::Array(values.collect())
            }
            Type::Enum(id) => match &registry().node(*id).unwrap().kind {
                Kind::Enum(values) => {
                    let number = self.below(values.len() as u64 + 1);
                    let known = values.get(number as usize);
                    known.map_or_else(|| number.into(), |value| value.name.clone().into())
                }
                _ => panic!("an enum that is none"),
            },
            Type::Struct(id, brand) => self.structure(*id, brand),
            Type::Interface(..) => Json::Null,
            Type::AnyPointer
            | Type::AnyStruct
            | Type::AnyList
            | Type::Capability
            | Type::Parameter(..) => {
                let point = self.value(&super::ty("Point"));
                let mut object = Map::new();
                let words = write("Point", &point).unwrap();
                object.insert(ANY_KEY.into(), scalar::hex(&words).into());
                Json::Object(object)
            }
        }
    }

    /// A value in a list, where null pointers read as what is empty.
    fn element(&mut self, ty: &Arc<Type>) -> Json {
        self.value(ty)
    }

    fn structure(&mut self, id: u64, brand: &Brand) -> Json {
        let (_, layout) = registry().structure(id).unwrap();
        let members: Vec<u16> = layout
            .fields
            .iter()
            .filter_map(|f| f.discriminant)
            .collect();
        let member = match members.len() {
            0 => None,
            count => Some(members[self.below(count as u64) as usize]),
        };
        let mut object = Map::new();
        self.depth += 1;
        for field in &layout.fields {
            if field.discriminant.is_none() || field.discriminant == member {
                object.insert(field.name.clone(), self.field(field, brand));
            }
        }
        self.depth -= 1;
        Json::Object(object)
    }

    fn field(&mut self, field: &Field, brand: &Brand) -> Json {
        match &field.place {
            Place::Group(id) => self.structure(*id, brand),
            Place::Slot { ty, default, .. } => {
                let ty = brand.close(ty);
                let may_be_null = matches!(ty, Type::Struct(..) | Type::AnyPointer);
                // The tool makes null of no union's member.
                let may_be_null = may_be_null && (self.odd || field.discriminant.is_none());
                let must_end = self.left == 0 || self.depth >= DEPTH;
                let is_null = must_end || self.below(4) == 0;
                if may_be_null && *default == Value::Null && is_null {
                    return Json::Null;
                }
                self.value(&ty)
            }
        }
    }

    /// Any JSON, with the names that schemas have.
    pub fn json(&mut self, depth: u32) -> Json {
        const NAMES: [&str; 18] = [
            "void",
            "int8",
            "uint64",
            "float32",
            "text",
            "data",
            "enum",
            "point",
            "defaults",
            "lists",
            "number",
            "pair",
            "shape",
            "box",
            "child",
            "$union",
            "$text",
            "anyPointer",
        ];
        let kinds = if depth == 0 { 7 } else { 9 };
        match self.below(kinds) {
            0 => Json::Null,
            1 => (self.below(2) == 0).into(),
            2 => self.bits().into(),
            3 => self.bits().cast_signed().into(),
            4 => scalar::show_float64(f64::from_bits(self.bits())),
            5 => NAMES[self.below(18) as usize].into(),
            6 => scalar::hex(&self.bytes()).into(),
            7 => {
                let length = self.below(5);
                Json::Array((0..length).map(|_| self.json(depth - 1)).collect())
            }
            _ => {
                let length = self.below(5);
                let members = (0..length).map(|_| {
                    (
                        NAMES[self.below(18) as usize].to_owned(),
                        self.json(depth - 1),
                    )
                });
                Json::Object(members.collect())
            }
        }
    }
}

/// Puts something else in a random place.
pub fn spoil(json: &mut Json, random: &mut Random) {
    let count = match json {
        Json::Array(values) => values.len(),
        Json::Object(members) => members.len(),
        _ => 0,
    };
    if count == 0 || random.below(4) == 0 {
        *json = random.json(3);
        return;
    }
    let index = random.below(count as u64) as usize;
    match json {
        Json::Array(values) => spoil(&mut values[index], random),
        Json::Object(members) => spoil(members.values_mut().nth(index).unwrap(), random),
        _ => {}
    }
}
