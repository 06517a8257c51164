//! What every raw form is made of.
//!
//! Invariant: `null` is not "left out", an array is not an object, and a name stands once.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

/// Reads each of these from an object only. serde's derived code would take an array as well,
/// its items for the fields in the order in which they happen to be declared here.
macro_rules! objects {
    ($($raw:ident: $expecting:literal,)*) => {$(
        impl<'de> ::serde::Deserialize<'de> for $raw {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;

                impl<'de> ::serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $raw;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_map<A: ::serde::de::MapAccess<'de>>(self, map: A) -> Result<$raw, A::Error> {
                        // the derived function, which `remote = "Self"` makes an inherent one
                        $raw::deserialize(::serde::de::value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    )*};
}

pub(super) use objects;

/// Reads each of these from a string only. serde's derived code would take an object as well,
/// and `serde_json` calls anything else bad JSON, at no field.
macro_rules! words {
    ($($raw:ident { $($word:literal => $variant:ident,)* })*) => {$(
        impl<'de> ::serde::Deserialize<'de> for $raw {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match String::deserialize(deserializer)?.as_str() {
                    $($word => Ok($raw::$variant),)*
                    other => Err(::serde::de::Error::unknown_variant(other, &[$($word),*])),
                }
            }
        }
    )*};
}

pub(super) use words;

/// A field that may be left out, but not be `null`.
pub struct Given<T>(pub Option<T>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Given(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Given(Some(value)))
    }
}

/// A whole number. The numbers of a Struct are doubles, so `5.0` is one.
#[derive(Clone, Copy)]
pub struct Whole(pub u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;

        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole, E> {
                u64::try_from(number)
                    .map(Whole)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
                // 2^53: beyond it a double no longer says which whole number was meant
                if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) {
                    Ok(Whole(number as u64))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(number), &self))
                }
            }
        }

        deserializer.deserialize_any(WholeVisitor)
    }
}

/// An object with names of the operator's choice, in the order written.
pub struct Entries<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of named entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    entries.push((name, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

/// Why a field of jwt_authn is refused.
const UNSUPPORTED: &str = "not supported by this version of bearer-gate";

/// A field that jwt_authn has and this version has not.
#[derive(Default)]
pub struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // read it, so that a document that is no JSON is reported as such
        IgnoredAny::deserialize(deserializer)?;
        Err(de::Error::custom(UNSUPPORTED))
    }
}

/// A switch of jwt_authn that this version knows in one position: the one that it is in when
/// the field is left out.
#[derive(Default)]
pub struct OnlyBool<const POSITION: bool>;

impl<'de, const POSITION: bool> Deserialize<'de> for OnlyBool<POSITION> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? == POSITION {
            Ok(OnlyBool)
        } else {
            Err(de::Error::custom(UNSUPPORTED))
        }
    }
}
