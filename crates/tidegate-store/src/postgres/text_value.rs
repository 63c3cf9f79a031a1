//! A parameter given as text, of a type that the server infers.

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// A value in the server's text form. Bound with [`Type::UNKNOWN`], the server infers its type from where it stands,
/// as it does for a quoted constant; with any other type it is read by that type's input function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextValue<'a>(pub Option<&'a str>);

impl ToSql for TextValue<'_> {
    fn to_sql(
        &self,
        _type: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_type: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        type_: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.to_sql(type_, out)
    }

    fn encode_format(&self, _type: &Type) -> Format {
        Format::Text
    }
}
