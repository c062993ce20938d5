use super::*;
use std::borrow::Cow;

fn written(order: ByteOrder) -> Vec<u8> {
    let mut cdr = Encoder::new(order, 0);
    cdr.string("hi");
    cdr.i32(-2);
    cdr.u8(1);
    cdr.f64(1.5);
    cdr.byte_sequence(&[7]);
    Vec::<f64>::new().write(&mut cdr);
    cdr.finish()
}

#[test]
fn fields_are_aligned_from_the_body() {
    let expected = [
        &[0, 1, 0, 0][..],
        &[3, 0, 0, 0, b'h', b'i', 0, 0],
        &[254, 255, 255, 255, 1, 0, 0, 0],
        &1.5f64.to_le_bytes(),
        &[1, 0, 0, 0, 7, 0, 0, 0],
        &[0, 0, 0, 0],
    ];
    assert_eq!(written(ByteOrder::Little), expected.concat());
    let expected = [
        &[0, 0, 0, 0][..],
        &[0, 0, 0, 3, b'h', b'i', 0, 0],
        &[255, 255, 255, 254, 1, 0, 0, 0],
        &1.5f64.to_be_bytes(),
        &[0, 0, 0, 1, 7, 0, 0, 0],
        &[0, 0, 0, 0],
    ];
    assert_eq!(written(ByteOrder::Big), expected.concat());
}

#[test]
fn both_byte_orders_read_back() {
    for order in [ByteOrder::Big, ByteOrder::Little] {
        let bytes = written(order);
        let mut cdr = Decoder::new(&bytes).unwrap();
        assert_eq!(cdr.order(), order);
        assert_eq!(cdr.string(), Ok("hi"));
        assert_eq!(cdr.i32(), Ok(-2));
        assert_eq!(cdr.bool(), Ok(true));
        assert_eq!(cdr.f64(), Ok(1.5));
        assert_eq!(Cow::read(&mut cdr), Ok(Cow::Borrowed(&[7][..])));
        assert_eq!(Vec::<f64>::read(&mut cdr), Ok(vec![]));
        assert_eq!(cdr.finish(), Ok(()));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let first = |bytes: &[u8]| Decoder::new(bytes).err();
    assert_eq!(
        first(&[0, 7, 0, 0]),
        Some(CdrError::Encapsulation { id: 7 })
    );
    let short = CdrError::Short {
        at: 0,
        needed: 4,
        len: 1,
    };
    assert_eq!(first(&[0]), Some(short));

    let huge = [0, 1, 0, 0, 255, 255, 255, 255, b'h'];
    let length = CdrError::Length {
        at: 8,
        count: u32::MAX,
        size: 1,
        left: 1,
    };
    assert_eq!(Decoder::new(&huge).unwrap().string(), Err(length));

    let latin = [0, 1, 0, 0, 2, 0, 0, 0, 0xe9, 0];
    let utf8 = CdrError::Utf8 { at: 8 };
    assert_eq!(Decoder::new(&latin).unwrap().string(), Err(utf8));
    let bytes = Decoder::new(&latin).unwrap().string_bytes();
    assert_eq!(bytes, Ok(&[0xe9][..]));

    let cdr = Decoder::new(&[0, 1, 0, 0, 2, 0, 0, 0]).unwrap();
    let bool = CdrError::Bool { at: 4, value: 2 };
    assert_eq!(cdr.clone().bool(), Err(bool));
    assert_eq!(cdr.finish(), Err(CdrError::Trailing { left: 4 }));
}

#[test]
fn an_empty_string_may_lack_its_nul() {
    let mut cdr = Decoder::new(&[0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(cdr.string(), Ok(""));
}
