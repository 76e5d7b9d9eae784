//! The adapters of older generations: how each method of the newest interfaces is answered by an older
//! generation's.
//!
//! Knows two models, and what was said to be done by hand. What no rule maps is an error that names it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Field, Interface, Method, Model, Named, Origin, Results, Struct, Type};
use crate::error::{Error, Result};

/// The decisions that are no rule's, by places such as `Mining.createNewBlock`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// The methods whose answers are converted by hand.
    pub(crate) by_hand: Vec<String>,
    /// The parameters and fields that the older generation lacks: they are not sent, and answered as their
    /// defaults.
    pub(crate) lacking: Vec<String>,
    /// The methods of the older generation that the newest one's traits do without.
    pub(crate) gone: Vec<String>,
}

/// An older generation behind the newest interfaces.
#[derive(Debug)]
pub(crate) struct Adapters {
    pub(crate) interfaces: Vec<Adapter>,
    /// The structs of the newest generation that are converted to the older one's.
    pub(crate) older: Vec<Conversion>,
    /// The structs of the older generation that are converted to the newest one's.
    pub(crate) newest: Vec<Conversion>,
    /// The places of what was said that mattered.
    pub(crate) heeded: BTreeSet<String>,
}

/// An interface of the newest generation, and the older generation's of the same id.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) newest: Named,
    pub(crate) older: Named,
    pub(crate) methods: Vec<Adapted>,
}

/// A method of the newest generation.
#[derive(Debug)]
pub(crate) struct Adapted {
    pub(crate) method: Method,
    /// Its place, such as `Mining.getTip`.
    pub(crate) place: String,
    pub(crate) how: How,
}

/// How an older generation answers a method.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// It has no such method.
    Lacking,
    /// It has one.
    Call(Older),
}

impl How {
    /// Returns how the newest generation answers its own method.
    pub(crate) fn newest(method: &Method) -> Self {
        let same = |param: &Field| (param.clone(), Convert::Same);
        Self::Call(Older {
            name: method.name.clone(),
            is_same: true,
            params: method.params.iter().map(same).collect(),
            answer: Some(Convert::Same),
        })
    }
}

/// The method of the older generation.
#[derive(Debug, Clone)]
pub(crate) struct Older {
    /// Its name in Rust.
    pub(crate) name: String,
    /// Whether its ordinal, its context and all its types are the newest method's.
    pub(crate) is_same: bool,
    /// Its parameters: those of the newest method, and how each is converted.
    pub(crate) params: Vec<(Field, Convert)>,
    /// How its result is converted; `None` where that is done by hand.
    pub(crate) answer: Option<Convert>,
}

/// How a value is converted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Convert {
    /// It is the same.
    Same,
    /// By the conversion of a struct: the name of the newest one.
    Struct(Named),
    /// By the adapter of an interface.
    Wrap(Named),
    /// Each element.
    Each(Box<Convert>),
}

/// A conversion of a struct, both in their generation's names.
#[derive(Debug)]
pub(crate) struct Conversion {
    pub(crate) from: Named,
    pub(crate) to: Named,
    /// The fields that both have.
    pub(crate) fields: Vec<(Field, Convert)>,
    /// Whether there are more, which get their defaults.
    pub(crate) has_more: bool,
}

/// The direction of a conversion.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Towards {
    Older,
    Newest,
}

/// Decides how the older generation `generation` answers the newest interfaces.
///
/// # Errors
/// Fails for what no rule maps and nobody has said anything about.
pub(crate) fn adapt(
    newest: &Model,
    older: &Model,
    generation: &str,
    said: &Said,
) -> Result<Adapters> {
    let mut adapting = Adapting {
        newest,
        older,
        generation,
        said,
        towards: [BTreeMap::new(), BTreeMap::new()],
        heeded: BTreeSet::new(),
    };
    let mut interfaces = Vec::new();
    for interface in newest.files.iter().flat_map(|file| &file.interfaces) {
        if let Some(older) = interface_of(older, interface.named.id) {
            interfaces.push(adapting.interface(interface, older)?);
        }
    }
    let [older, newest] = adapting.towards;
    let all = |map: BTreeMap<u64, Option<Conversion>>| map.into_values().flatten().collect();
    Ok(Adapters {
        interfaces,
        older: all(older),
        newest: all(newest),
        heeded: adapting.heeded,
    })
}

impl Model {
    /// Adds a method of an older generation to the trait of the same interface.
    ///
    /// # Errors
    /// Fails where there is no such method, and where the newest generation has one of its name or lacks
    /// a type of it.
    pub(crate) fn keep(&mut self, older: &Self, place: &str) -> Result<()> {
        let refused = |reason: &str| Err(Error::schema(place, reason));
        let (interface, method) = place.split_once('.').unwrap_or((place, ""));
        let mut interfaces = older.files.iter().flat_map(|file| &file.interfaces);
        let interface = interfaces.find(|known| known.named.schema == interface);
        let Some((interface, method)) = interface.and_then(|interface| {
            let mut methods = interface.methods.iter();
            let method = methods.find(|m| m.is_plain() && m.schema == method)?;
            Some((interface, method))
        }) else {
            return refused("the older generation has no such method to keep");
        };
        let mut method = method.clone();
        let types = method.params.iter_mut().map(|field| &mut field.ty);
        let types = types.chain(match &mut method.results {
            Results::One(field) => Some(&mut field.ty),
            Results::None => None,
            Results::Many(_) => return refused("it has several results, and cannot be kept"),
        });
        for ty in types {
            if !self.adopt(ty) {
                return refused("the newest generation lacks a type of it");
            }
        }
        let id = interface.named.id;
        let mut interfaces = self.files.iter_mut().flat_map(|file| &mut file.interfaces);
        let Some(newest) = interfaces.find(|interface| interface.named.id == id) else {
            return refused("the newest generation has no such interface");
        };
        if newest.of_trait().any(|known| known.name == method.name) {
            return refused("the newest generation has it");
        }
        newest.kept.push(method);
        Ok(())
    }

    /// Makes a type of an older generation this one's; returns whether there is one.
    fn adopt(&self, ty: &mut Type) -> bool {
        let named = match ty {
            Type::List(element) => return self.adopt(element),
            Type::Struct(named) | Type::Interface(named) | Type::Enum(named) => named,
            _ => return true,
        };
        let files = self.files.iter();
        let interfaces = files
            .clone()
            .flat_map(|file| &file.interfaces)
            .map(|i| &i.named);
        let structs = files.flat_map(|file| &file.structs).map(|s| &s.named);
        let found = interfaces.chain(structs).find(|known| known.id == named.id);
        if let Some(found) = found {
            *named = found.clone();
        }
        found.is_some() || named.origin == Origin::Core
    }
}

/// Returns the interface of this id that the model generates itself.
fn interface_of(model: &Model, id: u64) -> Option<&Interface> {
    let mut interfaces = model.files.iter().flat_map(|file| &file.interfaces);
    interfaces.find(|interface| interface.named.id == id)
}

fn struct_of(model: &Model, id: u64) -> Option<&Struct> {
    let mut structs = model.files.iter().flat_map(|file| &file.structs);
    structs.find(|s| s.named.id == id)
}

struct Adapting<'m> {
    newest: &'m Model,
    older: &'m Model,
    generation: &'m str,
    said: &'m Said,
    /// The conversions of structs by the newest one's name, towards the older and the newest generation;
    /// those that are being decided are `None`.
    towards: [BTreeMap<u64, Option<Conversion>>; 2],
    /// The places of what was said that mattered.
    heeded: BTreeSet<String>,
}

impl Adapting<'_> {
    fn interface(&mut self, newest: &Interface, older: &Interface) -> Result<Adapter> {
        if !newest.parents.is_empty() {
            return Err(self.unmapped(&newest.named.schema, "it extends another interface"));
        }
        let mut methods = Vec::new();
        for method in newest.of_trait() {
            let place = format!("{}.{}", newest.named.schema, method.schema);
            let found = older
                .methods
                .iter()
                .find(|m| m.is_plain() && m.schema == method.schema);
            let how = match found {
                None => How::Lacking,
                Some(found) => How::Call(self.method(method, found, &place)?),
            };
            methods.push(Adapted {
                method: method.clone(),
                place,
                how,
            });
        }
        for method in older.methods.iter().filter(|method| method.is_plain()) {
            let place = format!("{}.{}", newest.named.schema, method.schema);
            let known = newest.of_trait().any(|m| m.schema == method.schema);
            if !known && !self.is_said(|said| &said.gone, &place) {
                return Err(self.unmapped(&place, "the newest interface has no such method"));
            }
        }
        Ok(Adapter {
            newest: newest.named.clone(),
            older: older.named.clone(),
            methods,
        })
    }

    fn method(&mut self, newest: &Method, older: &Method, place: &str) -> Result<Older> {
        let mut params = Vec::new();
        for param in &older.params {
            let place = format!("{place}.{}", param.schema);
            let Some(ours) = newest.params.iter().find(|p| p.schema == param.schema) else {
                return Err(self.unmapped(&place, "the newest method has no such parameter"));
            };
            let convert = self.field(ours, param, Towards::Older, &place)?;
            params.push((ours.clone(), convert));
        }
        for param in &newest.params {
            let place = format!("{place}.{}", param.schema);
            let known = older.params.iter().any(|p| p.schema == param.schema);
            if !known && !self.is_said(|said| &said.lacking, &place) {
                return Err(self.unmapped(&place, "the older method has no such parameter"));
            }
        }
        let answer = match self.is_said(|said| &said.by_hand, place) {
            true => None,
            false => Some(self.answer(newest, older, place)?),
        };
        let names = |params: &[Field]| -> Vec<String> {
            params.iter().map(|param| param.schema.clone()).collect()
        };
        let is_same = newest.ordinal == older.ordinal
            && newest.context.is_some() == older.context.is_some()
            && names(&newest.params) == names(&older.params)
            && answer == Some(Convert::Same)
            && params.iter().all(|(_, convert)| *convert == Convert::Same);
        Ok(Older {
            name: older.name.clone(),
            is_same,
            params,
            answer,
        })
    }

    fn answer(&mut self, newest: &Method, older: &Method, place: &str) -> Result<Convert> {
        if newest.exception.is_some() || older.exception.is_some() {
            return Err(self.unmapped(place, "it has an exception"));
        }
        match (&newest.results, &older.results) {
            (Results::None, Results::None) => Ok(Convert::Same),
            (Results::One(newest), Results::One(older)) => {
                self.field(newest, older, Towards::Newest, place)
            }
            (Results::Many(newest), Results::Many(older)) => {
                self.structure(newest, older, Towards::Newest, place)
            }
            _ => Err(self.unmapped(place, "its results are others")),
        }
    }

    fn field(
        &mut self,
        newest: &Field,
        older: &Field,
        towards: Towards,
        place: &str,
    ) -> Result<Convert> {
        if newest.has.is_some() != older.has.is_some() || newest.is_nullable != older.is_nullable {
            return Err(self.unmapped(place, "it may be absent in one of the two alone"));
        }
        let convert = self.value(&newest.ty, &older.ty, towards, place)?;
        match (newest.has.is_some() || newest.is_nullable) && convert != Convert::Same {
            true => Err(self.unmapped(place, "it may be absent, and its type is another")),
            false => Ok(convert),
        }
    }

    fn value(
        &mut self,
        newest: &Type,
        older: &Type,
        towards: Towards,
        place: &str,
    ) -> Result<Convert> {
        match (newest, older) {
            (Type::Void, Type::Void)
            | (Type::Bool, Type::Bool)
            | (Type::Text, Type::Text)
            | (Type::Data, Type::Data) => Ok(Convert::Same),
            (Type::Number(newest), Type::Number(older)) if newest == older => Ok(Convert::Same),
            (Type::Value { path: newest, .. }, Type::Value { path: older, .. })
                if newest == older =>
            {
                Ok(Convert::Same)
            }
            (Type::Enum(newest) | Type::Struct(newest) | Type::Interface(newest), ty)
                if shared(ty) == Some(newest.id) =>
            {
                Ok(Convert::Same)
            }
            (Type::Struct(newest), Type::Struct(older)) => {
                self.structure(newest, older, towards, place)
            }
            (Type::Interface(newest), Type::Interface(older))
                if newest.id == older.id && towards == Towards::Newest =>
            {
                Ok(Convert::Wrap(newest.clone()))
            }
            (Type::List(newest), Type::List(older)) => {
                Ok(match self.value(newest, older, towards, place)? {
                    Convert::Same => Convert::Same,
                    convert => Convert::Each(Box::new(convert)),
                })
            }
            _ => Err(self.unmapped(place, "its type is another")),
        }
    }

    fn structure(
        &mut self,
        newest: &Named,
        older: &Named,
        towards: Towards,
        place: &str,
    ) -> Result<Convert> {
        let side = towards as usize;
        let convert = Convert::Struct(newest.clone());
        if self.towards[side].contains_key(&newest.id) {
            return Ok(convert);
        }
        self.towards[side].insert(newest.id, None);
        let (Some(ours), Some(theirs)) = (
            struct_of(self.newest, newest.id),
            struct_of(self.older, older.id),
        ) else {
            return Err(self.unmapped(place, "its type is another"));
        };
        let (from, to) = match towards {
            Towards::Older => (ours, theirs),
            Towards::Newest => (theirs, ours),
        };
        let mut fields = Vec::new();
        let mut has_more = false;
        for field in &to.fields {
            let place = format!("{}.{}", newest.schema, field.schema);
            match from.fields.iter().find(|f| f.schema == field.schema) {
                None if self.is_said(|said| &said.lacking, &place) => has_more = true,
                None => return Err(self.unmapped(&place, "only one of the two has it")),
                Some(other) => {
                    let (newest, older) = match towards {
                        Towards::Older => (other, field),
                        Towards::Newest => (field, other),
                    };
                    let convert = self.field(newest, older, towards, &place)?;
                    fields.push((field.clone(), convert));
                }
            }
        }
        for field in &from.fields {
            let place = format!("{}.{}", newest.schema, field.schema);
            let known = to.fields.iter().any(|f| f.schema == field.schema);
            if !known && !self.is_said(|said| &said.lacking, &place) {
                return Err(self.unmapped(&place, "only one of the two has it"));
            }
        }
        let conversion = Conversion {
            from: from.named.clone(),
            to: to.named.clone(),
            fields,
            has_more,
        };
        self.towards[side].insert(newest.id, Some(conversion));
        Ok(convert)
    }

    /// Returns whether something was said of a place, and notes that it mattered.
    fn is_said(&mut self, places: fn(&Said) -> &Vec<String>, place: &str) -> bool {
        let is_said = places(self.said).iter().any(|said| said == place);
        if is_said {
            self.heeded.insert(place.to_owned());
        }
        is_said
    }

    fn unmapped(&self, place: &str, reason: &str) -> Error {
        Error::schema(
            format!("{}: {place}", self.generation),
            format!(
                "{reason}, for which there is no rule: say what is by hand, lacking, kept or gone"
            ),
        )
    }
}

/// Returns the id of a type that is generated once for both generations.
fn shared(ty: &Type) -> Option<u64> {
    match ty {
        Type::Enum(named) | Type::Struct(named) | Type::Interface(named)
            if named.origin == Origin::Core =>
        {
            Some(named.id)
        }
        _ => None,
    }
}
