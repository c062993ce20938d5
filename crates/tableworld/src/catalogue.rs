//! What can stand on the table: the categories, their names, and the colours each comes in.

/// A kind of household thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each is what it is called
pub enum Category {
    Television,
    RemoteControl,
    Mug,
    Orange,
    Apple,
    Banana,
    Lemon,
    Bottle,
    Knife,
    Scissors,
    Book,
    Laptop,
    Lamp,
    Phone,
    Key,
    Clock,
    Bowl,
    Spoon,
    Hammer,
    Screwdriver,
    Plant,
    TissueBox,
    Glasses,
    CupNoodles,
}

/// A colour as a person would name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each is what it is called
pub enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
    Brown,
    White,
    Grey,
    Black,
}

use Category as C;
use Colour as K;

impl Category {
    /// All of them, in the order of [`Category::index`].
    pub const ALL: [Category; 24] = [
        C::Television,
        C::RemoteControl,
        C::Mug,
        C::Orange,
        C::Apple,
        C::Banana,
        C::Lemon,
        C::Bottle,
        C::Knife,
        C::Scissors,
        C::Book,
        C::Laptop,
        C::Lamp,
        C::Phone,
        C::Key,
        C::Clock,
        C::Bowl,
        C::Spoon,
        C::Hammer,
        C::Screwdriver,
        C::Plant,
        C::TissueBox,
        C::Glasses,
        C::CupNoodles,
    ];

    /// The words for it, in lower case and in the singular (`glasses`, `scissors` and `cup noodles` have none).
    pub fn name(self) -> &'static str {
        match self {
            C::Television => "television",
            C::RemoteControl => "remote control",
            C::Mug => "mug",
            C::Orange => "orange",
            C::Apple => "apple",
            C::Banana => "banana",
            C::Lemon => "lemon",
            C::Bottle => "bottle",
            C::Knife => "knife",
            C::Scissors => "scissors",
            C::Book => "book",
            C::Laptop => "laptop",
            C::Lamp => "lamp",
            C::Phone => "phone",
            C::Key => "key",
            C::Clock => "clock",
            C::Bowl => "bowl",
            C::Spoon => "spoon",
            C::Hammer => "hammer",
            C::Screwdriver => "screwdriver",
            C::Plant => "plant",
            C::TissueBox => "tissue box",
            C::Glasses => "glasses",
            C::CupNoodles => "cup noodles",
        }
    }

    /// Its place in [`Category::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The category of that [`Category::name`], whatever its case and outer spaces; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|c| c.name().eq_ignore_ascii_case(name))
    }

    /// The colours it comes in, never empty. It is the colour of its most telling part: the handle of a tool,
    /// the shade of a lamp, the leaves of a plant, the case of a phone.
    pub fn colours(self) -> &'static [Colour] {
        match self {
            C::Television => &[K::Black],
            C::RemoteControl => &[K::Black, K::Grey, K::White],
            C::Mug => &[
                K::Red,
                K::Yellow,
                K::Green,
                K::Blue,
                K::Purple,
                K::Pink,
                K::White,
                K::Black,
            ],
            C::Orange => &[K::Orange],
            C::Apple => &[K::Red, K::Green],
            C::Banana => &[K::Yellow],
            C::Lemon => &[K::Yellow],
            C::Bottle => &[K::Green, K::Blue, K::Brown, K::Red, K::Pink],
            C::Knife => &[K::Black, K::Brown, K::Red, K::Blue],
            C::Scissors => &[K::Red, K::Orange, K::Green, K::Blue, K::Purple, K::Black],
            C::Book => &[
                K::Red,
                K::Orange,
                K::Yellow,
                K::Green,
                K::Blue,
                K::Purple,
                K::Brown,
                K::Black,
            ],
            C::Laptop => &[K::Grey, K::Black, K::White],
            C::Lamp => &[K::Red, K::Yellow, K::Green, K::Blue, K::White, K::Black],
            C::Phone => &[K::Black, K::White, K::Blue, K::Pink, K::Red],
            C::Key => &[K::Yellow, K::Grey],
            C::Clock => &[K::Red, K::Yellow, K::Green, K::Blue, K::Pink, K::Black],
            C::Bowl => &[K::White, K::Red, K::Green, K::Blue, K::Pink, K::Brown],
            C::Spoon => &[K::Grey, K::Brown],
            C::Hammer => &[K::Brown, K::Red, K::Yellow, K::Blue],
            C::Screwdriver => &[K::Red, K::Orange, K::Yellow, K::Green, K::Blue],
            C::Plant => &[K::Green],
            C::TissueBox => &[K::Blue, K::Green, K::Pink, K::Purple, K::Yellow],
            C::Glasses => &[K::Black, K::Brown, K::Red, K::Blue],
            C::CupNoodles => &[K::Red, K::Yellow, K::Orange],
        }
    }
}

impl Colour {
    /// All of them.
    pub const ALL: [Colour; 11] = [
        K::Red,
        K::Orange,
        K::Yellow,
        K::Green,
        K::Blue,
        K::Purple,
        K::Pink,
        K::Brown,
        K::White,
        K::Grey,
        K::Black,
    ];

    /// Its place in [`Colour::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The word for it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            K::Red => "red",
            K::Orange => "orange",
            K::Yellow => "yellow",
            K::Green => "green",
            K::Blue => "blue",
            K::Purple => "purple",
            K::Pink => "pink",
            K::Brown => "brown",
            K::White => "white",
            K::Grey => "grey",
            K::Black => "black",
        }
    }

    /// A typical shade of it in sRGB, 0 to 255.
    pub fn srgb(self) -> [u8; 3] {
        match self {
            K::Red => [200, 32, 34],
            K::Orange => [240, 130, 20],
            K::Yellow => [242, 206, 36],
            K::Green => [52, 150, 60],
            K::Blue => [40, 84, 190],
            K::Purple => [122, 54, 158],
            K::Pink => [238, 128, 168],
            K::Brown => [124, 74, 38],
            K::White => [238, 238, 234],
            K::Grey => [150, 153, 158],
            K::Black => [34, 34, 38],
        }
    }

    /// The colour of that [`Colour::name`], whatever its case and outer spaces; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|c| c.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_category_and_colour() {
        for (i, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(category.index(), i);
            assert_eq!(Category::parse(category.name()), Some(category));
            assert!(!category.colours().is_empty());
        }
        for colour in Colour::ALL {
            assert_eq!(
                Colour::parse(&format!(" {} ", colour.name().to_uppercase())),
                Some(colour)
            );
        }
        assert_eq!(Category::parse("zebra"), None);
        assert_eq!(Colour::parse(""), None);
    }
}
