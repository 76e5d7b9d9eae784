//! The content of calls and answers: a number, and three pointers that are capabilities or null.
//!
//! Knows the encoding of a struct; nothing of what the capabilities are.

use capnp::Word;
use capnp::any_pointer;
use capnp::private::capability::ClientHook;
use capnp::private::layout::{
    PointerBuilder, PointerReader, StructBuilder, StructReader, StructSize,
};
use capnp::traits::{FromPointerBuilder, FromPointerReader};

use super::super::super::wire::cap_table::find;

/// The number of pointers.
pub const POINTERS: usize = 3;

struct Writer<'a>(StructBuilder<'a>);

impl<'a> FromPointerBuilder<'a> for Writer<'a> {
    fn init_pointer(builder: PointerBuilder<'a>, _: u32) -> Self {
        Self(builder.init_struct(StructSize {
            data: 1,
            pointers: 3,
        }))
    }

    fn get_from_pointer(builder: PointerBuilder<'a>, _: Option<&'a [Word]>) -> capnp::Result<Self> {
        Ok(Self::init_pointer(builder, 0))
    }
}

struct Reader<'a>(StructReader<'a>);

impl<'a> FromPointerReader<'a> for Reader<'a> {
    fn get_from_pointer(
        reader: &PointerReader<'a>,
        default: Option<&'a [Word]>,
    ) -> capnp::Result<Self> {
        Ok(Self(reader.get_struct(default)?))
    }
}

/// Writes a content.
pub fn write(
    content: any_pointer::Builder<'_>,
    value: u32,
    caps: [Option<Box<dyn ClientHook>>; POINTERS],
) {
    let Writer(mut content) = content.init_as();
    content.set_data_field::<u32>(0, value);
    for (index, cap) in caps.into_iter().enumerate() {
        if let Some(cap) = cap {
            let mut pointer = content.reborrow().get_pointer_field(index);
            pointer.set_capability(cap);
        }
    }
}

/// Reads a content in a message with these capabilities.
pub fn read<C: Clone>(
    content: any_pointer::Reader<'_>,
    caps: &[Option<C>],
) -> capnp::Result<(u32, [Option<C>; POINTERS])> {
    let Reader(content) = content.get_as()?;
    let cap = |index| {
        let hook = content.get_pointer_field(index).get_capability().ok()?;
        find(caps, &*hook).cloned()
    };
    Ok((content.get_data_field::<u32>(0), std::array::from_fn(cap)))
}
