//! What the types of the model share: methods that change one field, and numbers without a name.

/// Methods that return the value with another field.
macro_rules! with_methods {
    ($($(#[$doc:meta])* $method:ident($field:ident: $kind:ty);)+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $method(mut self, $field: $kind) -> Self {
                self.$field = $field;
                self
            }
        )+
    };
}

/// A number of the kernel's that this library has no name for, in variants such as
/// [`Protocol::Other`](crate::Protocol::Other).
///
/// Only the library makes one, and only of a number without a name: each number has exactly one value. A program that
/// compares values or [numbers](Unnamed::get) keeps its meaning when a later release gives a number a name.
///
/// ```
/// use ipvs::Protocol;
///
/// assert_eq!(Protocol::from(6), Protocol::Tcp);
/// assert_eq!(Protocol::from(33).number(), 33);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unnamed<T>(pub(crate) T);

impl<T: Copy> Unnamed<T> {
    /// The number.
    pub fn get(self) -> T {
        self.0
    }
}
