//! The forms that the values of variables can have.

/// The form that the value of a variable must have.
#[derive(Clone, Copy, Debug)]
pub enum VariableKind {
    /// Any text of one line.
    Text,
    /// Text that is never shown.
    Secret,
    /// `true` or `false`, in the spellings of Go's `strconv.ParseBool`.
    Bool,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// A number, not negative, that may have a fraction.
    Decimal,
    /// A span of time as Go writes it, such as `1h30m`, from the first to the second, in seconds.
    Duration(f64, f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A level of the agent's log, in any case.
    Level,
    /// `RATE,BURST`, neither of them 0.
    RateAndBurst,
    /// `FIRST-LAST`, two ports.
    PortRange,
    /// A JSON list of these.
    List(Items),
    /// A JSON object whose values are texts.
    Object,
    /// A JSON object that is never shown.
    SecretObject,
    /// Another key of the configuration, with this name, sets the variable.
    Elsewhere(&'static str),
}

impl VariableKind {
    /// Tells whether a value is a JSON object.
    pub fn is_object(self) -> bool {
        matches!(self, VariableKind::Object | VariableKind::SecretObject)
    }
}

/// The items of a list.
#[derive(Clone, Copy, Debug)]
pub enum Items {
    /// Some of these words.
    SomeOf(&'static [&'static str]),
    /// Any texts.
    Texts,
    /// The numbers of ports.
    Ports,
    /// Networks, each an address and the length of its prefix.
    Networks,
}

/// The upper bound of a span of time that has only a lower one, in seconds: the agent can't hold a longer span.
pub(super) const EVER: f64 = 9e9;
