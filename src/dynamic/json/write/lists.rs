//! Lists from JSON to the wire.
//!
//! Knows how elements lie in lists; what is refused and what is charged is the parent's business.

use capnp::private::layout::{ElementSize, PrimitiveElement};
use serde_json::Value as Json;

use super::super::options::Meaning;
use super::super::scalar::{self, Refused};
use super::{Writing, float64, size_of};
use crate::dynamic::raw::PointerMut;
use crate::dynamic::schema::model::Type;
use crate::error::{Error, Result};

/// The longest list the wire can hold: its length has 29 bits. A text has a final zero.
const LONGEST: usize = (1 << 29) - 2;

impl Writing<'_, '_> {
    pub(super) fn list(
        &mut self,
        values: &[Json],
        pointer: PointerMut<'_>,
        ty: &Type,
        element: &Type,
        meaning: Meaning,
    ) -> Result<()> {
        use ElementSize::{Bit, Byte, EightBytes, FourBytes, TwoBytes, Void};
        let (all, p) = (values, pointer);
        match element {
            Type::Void => self.elements(all, p, element, Void, 0, |_, json| match json {
                Json::Null => Ok(()),
                _ => Err("is not null".into()),
            }),
            Type::Bool => self.elements(all, p, element, Bit, 1, |_, json| {
                json.as_bool().ok_or_else(|| "is not true or false".into())
            }),
            Type::Int8 => self.integers::<i8>(all, p, element, Byte),
            Type::Int16 => self.integers::<i16>(all, p, element, TwoBytes),
            Type::Int32 => self.integers::<i32>(all, p, element, FourBytes),
            Type::Int64 => self.integers::<i64>(all, p, element, EightBytes),
            Type::UInt8 => self.integers::<u8>(all, p, element, Byte),
            Type::UInt16 => self.integers::<u16>(all, p, element, TwoBytes),
            Type::UInt32 => self.integers::<u32>(all, p, element, FourBytes),
            Type::UInt64 => self.integers::<u64>(all, p, element, EightBytes),
            Type::Float32 => self.elements(all, p, element, FourBytes, 32, |_, json| {
                scalar::float32(json)
            }),
            Type::Float64 => self.elements(all, p, element, EightBytes, 64, |_, json| {
                float64(json, meaning)
            }),
            Type::Enum(id) => self.elements(all, p, element, TwoBytes, 16, |this, json| {
                this.enumerant(*id, json)
            }),
            Type::Struct(id, brand) => {
                let (_, layout) = self.registry.structure(*id)?;
                let size = size_of(layout);
                let count = self.charge_list(all.len(), 64 * size.total() as usize, ty)?;
                if u64::from(count) * u64::from(size.total()) > LONGEST as u64 {
                    return Err(self.too_large(ty));
                }
                let mut list = p.init_structs(size, count).map_err(|e| self.outside(&e))?;
                self.each(all, |this, index, json| {
                    let object = this.object(json, element)?;
                    this.structure(object, &mut list.get(index), *id, brand)
                })
            }
            _ => {
                let count = self.charge_list(all.len(), 64, ty)?;
                let mut list = p.init_pointers(count);
                self.each(all, |this, index, json| {
                    let pointer = list.reborrow().get(index).init_as();
                    this.pointer(json, pointer, element, meaning)
                })
            }
        }
    }

    fn integers<T: PrimitiveElement + TryFrom<i128>>(
        &mut self,
        values: &[Json],
        pointer: PointerMut<'_>,
        element: &Type,
        size: ElementSize,
    ) -> Result<()> {
        let bits = 8 * std::mem::size_of::<T>();
        self.elements(values, pointer, element, size, bits, |_, json| {
            scalar::integer::<T>(json)
        })
    }

    fn elements<T: PrimitiveElement>(
        &mut self,
        values: &[Json],
        pointer: PointerMut<'_>,
        element: &Type,
        size: ElementSize,
        bits: usize,
        parse: impl Fn(&Self, &Json) -> Result<T, Refused>,
    ) -> Result<()> {
        let count = self.charge_list(values.len(), bits, element)?;
        let mut list = pointer.init_list(size, count);
        self.each(values, |this, index, json| {
            let value = parse(this, json).map_err(|r| this.refuse(element, json, &r))?;
            list.set(index, value);
            Ok(())
        })
    }

    fn each(
        &mut self,
        values: &[Json],
        mut write: impl FnMut(&mut Self, u32, &Json) -> Result<()>,
    ) -> Result<()> {
        let end = self.path.len();
        for (index, json) in (0..).zip(values) {
            self.path.push_str(&format!("[{index}]"));
            write(self, index, json)?;
            self.path.truncate(end);
        }
        Ok(())
    }

    /// Takes what a list of so many elements needs.
    pub(super) fn charge_list(&mut self, count: usize, bits: usize, ty: &Type) -> Result<u32> {
        let bound = self.options.bounds.list as usize;
        // Text and Data are bounded by their bytes alone.
        let is_long = count > bound && !matches!(ty, Type::Text | Type::Data);
        if is_long || count > LONGEST {
            let name = self.registry.type_name(ty);
            return Err(Error::conversion(
                self.path.as_str(),
                format!(
                    "{name}: {count} elements are more than {}",
                    bound.min(LONGEST)
                ),
            ));
        }
        // Rounded up to whole words, with one for the list's tag or the text's zero.
        let words = count.saturating_mul(bits).div_ceil(64) + 1;
        self.charge(words.saturating_mul(8), ty)?;
        u32::try_from(count).map_err(|_| self.too_large(ty))
    }
}
