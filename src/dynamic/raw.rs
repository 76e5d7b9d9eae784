//! Cap'n Proto's untyped layer: pointers, structs and lists, whose types come from a schema at run
//! time.
//!
//! Knows how capnp lays values out in memory; nothing of schemas or JSON. capnp checks reads; it
//! does not check the offsets of writes, which are therefore checked here.

use capnp::any_pointer;
use capnp::introspect::{Introspect, Type, TypeVariant};
use capnp::private::capability::ClientHook;
use capnp::private::layout::{
    ElementSize, ListBuilder, ListReader, PointerBuilder, PointerReader, PointerType,
    PrimitiveElement, StructBuilder, StructReader, StructSize,
};
use capnp::struct_list;
use capnp::traits::{
    FromPointerBuilder, FromPointerReader, HasStructSize, IntoInternalStructReader, OwnedStruct,
    SetterInput,
};
use capnp::{Result, Word};

/// A pointer to be read, whatever it points to.
#[derive(Clone, Copy)]
pub(super) struct Pointer<'a>(PointerReader<'a>);

impl<'a> FromPointerReader<'a> for Pointer<'a> {
    fn get_from_pointer(
        reader: &PointerReader<'a>,
        _default: Option<&'a [Word]>,
    ) -> Result<Pointer<'a>> {
        Ok(Self(*reader))
    }
}

impl<'a> Pointer<'a> {
    pub(super) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    pub(super) fn kind(&self) -> Result<PointerType> {
        self.0.get_pointer_type()
    }

    pub(super) fn text(self) -> Result<&'a [u8]> {
        Ok(self.0.get_text(None)?.as_bytes())
    }

    pub(super) fn data(self) -> Result<&'a [u8]> {
        self.0.get_data(None)
    }

    pub(super) fn structure(self) -> Result<Struct<'a>> {
        self.0.get_struct(None).map(Struct)
    }

    /// Returns a list whose elements are numbers, bits, or nothing.
    pub(super) fn list(self, size: ElementSize) -> Result<List<'a>> {
        self.0.get_list(size, None).map(List)
    }

    pub(super) fn structs(self) -> Result<struct_list::Reader<'a, AnyStruct>> {
        self.any().get_as()
    }

    pub(super) fn pointers(self) -> Result<capnp::any_pointer_list::Reader<'a>> {
        self.any().get_as()
    }

    pub(super) fn capability(self) -> Result<Box<dyn ClientHook>> {
        self.0.get_capability()
    }

    pub(super) fn any(self) -> any_pointer::Reader<'a> {
        any_pointer::Reader::new(self.0)
    }

    pub(super) fn words(self) -> Result<u64> {
        Ok(self.0.total_size()?.word_count)
    }

    /// Returns the target as a canonical message of one segment, without the framing. `words` is
    /// the size that [`Pointer::words`] returned.
    pub(super) fn canonical(self, words: u64) -> Result<Vec<u8>> {
        let first = u32::try_from(words + 1).map_err(|e| capnp::Error::failed(e.to_string()))?;
        let allocator = capnp::message::HeapAllocator::new().first_segment_words(first);
        let mut message = capnp::message::Builder::new(allocator);
        let root: PointerMut<'_> = message.init_root();
        SetterInput::<any_pointer::Owned>::set_pointer_builder(root.0, self.any(), true)?;
        match *message.get_segments_for_output() {
            [segment] => Ok(segment.to_vec()),
            _ => Err(capnp::Error::failed("it has no canonical form".into())),
        }
    }
}

/// The bits of a number in a struct.
pub(super) trait Bits: Copy {
    /// Reads them; 0 where the struct is shorter.
    fn read(reader: &StructReader<'_>, offset: usize) -> Self;
    /// Writes them to where the struct reaches.
    fn write(self, builder: &StructBuilder<'_>, offset: usize);
}

macro_rules! bits {
    ($($number:ty)*) => {
        $(
            impl Bits for $number {
                fn read(reader: &StructReader<'_>, offset: usize) -> Self {
                    reader.get_data_field(offset)
                }

                fn write(self, builder: &StructBuilder<'_>, offset: usize) {
                    builder.set_data_field(offset, self);
                }
            }
        )*
    };
}

bits!(u8 u16 u32 u64);

/// A struct to be read.
#[derive(Clone, Copy)]
pub(super) struct Struct<'a>(StructReader<'a>);

impl<'a> Struct<'a> {
    /// Returns the number at this offset, in units of its own size; 0 where the struct is shorter.
    pub(super) fn number<T: Bits>(&self, offset: u32) -> T {
        T::read(&self.0, offset as usize)
    }

    pub(super) fn bool(&self, offset: u32) -> bool {
        self.0.get_bool_field(offset as usize)
    }

    /// Returns the pointer with this number; null where the struct is shorter.
    pub(super) fn pointer(&self, index: u32) -> Pointer<'a> {
        Pointer(self.0.get_pointer_field(index as usize))
    }
}

/// A list whose elements are no pointers and no structs, to be read.
pub(super) struct List<'a>(ListReader<'a>);

impl List<'_> {
    pub(super) fn len(&self) -> u32 {
        self.0.len()
    }

    /// Returns an element; the index must be below the length.
    pub(super) fn get<T: PrimitiveElement>(&self, index: u32) -> T {
        T::get(&self.0, index)
    }
}

/// A pointer to be set.
pub(super) struct PointerMut<'a>(PointerBuilder<'a>);

impl<'a> FromPointerBuilder<'a> for PointerMut<'a> {
    fn init_pointer(mut builder: PointerBuilder<'a>, _length: u32) -> Self {
        builder.clear();
        Self(builder)
    }

    fn get_from_pointer(
        builder: PointerBuilder<'a>,
        _default: Option<&'a [Word]>,
    ) -> Result<PointerMut<'a>> {
        Ok(Self(builder))
    }
}

impl<'a> PointerMut<'a> {
    pub(super) fn any(self) -> any_pointer::Builder<'a> {
        any_pointer::Builder::new(self.0)
    }

    /// Returns the pointer with this number of the struct of this size that has been written there.
    pub(super) fn pointer_of_struct(
        self,
        data: u16,
        pointers: u16,
        index: u32,
    ) -> Result<PointerMut<'a>> {
        let size = StructSize { data, pointers };
        // A smaller struct is enlarged to this size.
        let body = self.0.get_struct(size, None)?;
        if index >= u32::from(pointers) {
            return Err(outside());
        }
        Ok(Self(body.get_pointer_field(index as usize)))
    }

    /// Sets a text, which must be shorter than the longest list the wire can hold.
    pub(super) fn set_text(mut self, text: &[u8]) {
        self.0.set_text(text.into());
    }

    /// Sets data, which must be shorter than the longest list the wire can hold.
    pub(super) fn set_data(mut self, data: &[u8]) {
        self.0.set_data(data);
    }

    pub(super) fn set_capability(mut self, hook: Box<dyn ClientHook>) {
        self.0.set_capability(hook);
    }

    pub(super) fn init_struct(self, size: StructSize) -> StructMut<'a> {
        StructMut {
            builder: self.0.init_struct(size),
            size,
        }
    }

    /// Creates a list of numbers, bits or nothing. `count` must be below the longest the wire can
    /// hold.
    pub(super) fn init_list(self, size: ElementSize, count: u32) -> ListMut<'a> {
        ListMut(self.0.init_list(size, count))
    }

    /// Creates a list of pointers. `count` must be below the longest the wire can hold.
    pub(super) fn init_pointers(self, count: u32) -> capnp::any_pointer_list::Builder<'a> {
        self.any().initn_as(count)
    }

    /// Creates a list of structs. `count` and its product with the size must be below the longest
    /// the wire can hold.
    pub(super) fn init_structs(mut self, size: StructSize, count: u32) -> Result<StructsMut<'a>> {
        self.0.reborrow().init_struct_list(count, size);
        // As it is: the smallest structs are asked for, so it is not copied.
        let list = self.any().get_as()?;
        Ok(StructsMut { list, size })
    }
}

/// A struct to be filled, of a known size.
pub(super) struct StructMut<'a> {
    builder: StructBuilder<'a>,
    size: StructSize,
}

impl StructMut<'_> {
    /// Writes a number at this offset, in units of its own size.
    ///
    /// # Errors
    /// Fails when the struct has no such place.
    pub(super) fn set_number<T: Bits>(&mut self, offset: u32, value: T) -> Result<()> {
        self.check(offset, 8 * size_of::<T>() as u64)?;
        value.write(&self.builder, offset as usize);
        Ok(())
    }

    /// Writes a `Bool` at this offset, in bits.
    ///
    /// # Errors
    /// Fails when the struct has no such place.
    pub(super) fn set_bool(&mut self, offset: u32, value: bool) -> Result<()> {
        self.check(offset, 1)?;
        self.builder.set_bool_field(offset as usize, value);
        Ok(())
    }

    /// Returns the pointer with this number.
    ///
    /// # Errors
    /// Fails when the struct has no such pointer.
    pub(super) fn pointer(&mut self, index: u32) -> Result<PointerMut<'_>> {
        if index >= u32::from(self.size.pointers) {
            return Err(outside());
        }
        Ok(PointerMut(
            self.builder.reborrow().get_pointer_field(index as usize),
        ))
    }

    fn check(&self, offset: u32, bits: u64) -> Result<()> {
        if (u64::from(offset) + 1) * bits > 64 * u64::from(self.size.data) {
            return Err(outside());
        }
        Ok(())
    }
}

fn outside() -> capnp::Error {
    capnp::Error::failed("the schema puts the field outside of its struct".into())
}

/// A list of structs to be filled.
pub(super) struct StructsMut<'a> {
    list: struct_list::Builder<'a, AnyStruct>,
    size: StructSize,
}

impl StructsMut<'_> {
    /// Returns an element; the index must be below the length.
    pub(super) fn get(&mut self, index: u32) -> StructMut<'_> {
        StructMut {
            builder: self.list.reborrow().get(index).0,
            size: self.size,
        }
    }
}

/// A list whose elements are no pointers and no structs, to be filled.
pub(super) struct ListMut<'a>(ListBuilder<'a>);

impl ListMut<'_> {
    /// Sets an element; the index must be below the length.
    pub(super) fn set<T: PrimitiveElement>(&mut self, index: u32, value: T) {
        T::set(&self.0, index, value);
    }
}

/// Any struct, for capnp's list of structs.
pub(super) struct AnyStruct;

impl Introspect for AnyStruct {
    fn introspect() -> Type {
        TypeVariant::AnyPointer.into()
    }
}

impl OwnedStruct for AnyStruct {
    type Reader<'a> = Struct<'a>;
    type Builder<'a> = Element<'a>;
}

impl<'a> From<StructReader<'a>> for Struct<'a> {
    fn from(reader: StructReader<'a>) -> Self {
        Self(reader)
    }
}

impl<'a> IntoInternalStructReader<'a> for Struct<'a> {
    fn into_internal_struct_reader(self) -> StructReader<'a> {
        self.0
    }
}

impl SetterInput<AnyStruct> for Struct<'_> {
    fn set_pointer_builder(
        mut builder: PointerBuilder<'_>,
        input: Self,
        canonicalize: bool,
    ) -> Result<()> {
        builder.set_struct(&input.0, canonicalize)
    }
}

/// A struct in a list that is being filled.
pub(super) struct Element<'a>(StructBuilder<'a>);

impl<'a> From<StructBuilder<'a>> for Element<'a> {
    fn from(builder: StructBuilder<'a>) -> Self {
        Self(builder)
    }
}

impl HasStructSize for Element<'_> {
    const STRUCT_SIZE: StructSize = StructSize {
        data: 0,
        pointers: 0,
    };
}
