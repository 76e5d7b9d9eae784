//! Calls and values, of `test.cpp`: what crosses arrives as it was.

use std::sync::Arc;

use bitcoin_ipc::{Error, RemoteKind};

use crate::foo::interfaces::foo::*;
use crate::support::{Setup, eventually, timed};

/// A callback that expects `expect` and answers `answer`.
struct Callback {
    expect: i32,
    answer: i32,
}

impl FooCallback for Callback {
    fn call(&self, arg: i32) -> Result<i32, Error> {
        assert_eq!(arg, self.expect);
        Ok(self.answer)
    }
}

impl ExtendedCallback for Callback {
    fn call_extended(&self, arg: i32) -> Result<i32, Error> {
        assert_eq!(arg, self.expect + 10);
        Ok(self.answer + 10)
    }
}

fn callback(expect: i32, answer: i32) -> Option<Arc<dyn FooCallback>> {
    Some(Arc::new(Callback { expect, answer }))
}

#[test]
fn call_foo_interface_methods() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();

        assert_eq!(foo.add(1, 2).unwrap(), 3);
        assert_eq!(foo.add_out(3, 4).unwrap(), 7);
        assert_eq!(foo.add_in_out(3, 7).unwrap(), 10);
        let divided = foo.divide(17, 5).unwrap();
        assert_eq!((divided.quotient, divided.remainder), (3, 2));

        let value = FooStruct {
            name: "name".into(),
            set_int: vec![1, 2],
            vector_bool: vec![false, true, false],
            optional_int: Some(3),
            unordered_set_int: vec![1, 2],
            map_string_int: vec![
                StringIntPair {
                    first: "a".into(),
                    second: 1,
                },
                StringIntPair {
                    first: "b".into(),
                    second: 2,
                },
            ],
            custom: FooCustom {
                v1: "v1".into(),
                v2: 5,
            },
        };
        assert_eq!(foo.pass(&value).unwrap(), value);
        let without = FooStruct {
            optional_int: None,
            ..value.clone()
        };
        assert_eq!(foo.pass(&without).unwrap().optional_int, None);
        assert_eq!(foo.raise(&value).unwrap(), Err(value.clone()));
        assert_eq!(foo.raise_or(false, 4).unwrap(), Ok(4));
        assert_eq!(foo.raise_or(true, 4).unwrap(), Err("4".to_owned()));

        assert_eq!(foo.callback(callback(1, 2), 1).unwrap(), 2);
        assert_eq!(foo.callback_unique(callback(3, 4), 3).unwrap(), 4);
        assert_eq!(foo.callback_shared(callback(5, 6), 5).unwrap(), 6);
        let saved: Arc<dyn FooCallback> = Arc::new(Callback {
            expect: 7,
            answer: 8,
        });
        foo.save_callback(Some(saved.clone())).unwrap();
        assert!(Arc::strong_count(&saved) > 1);
        assert_eq!(foo.callback_saved(7).unwrap(), 8);
        foo.save_callback(None).unwrap();
        eventually("the saved callback is let go of", || {
            Arc::strong_count(&saved) == 1
        });
        let extended: Arc<dyn ExtendedCallback> = Arc::new(Callback {
            expect: 1,
            answer: 2,
        });
        assert_eq!(
            foo.callback_extended(Some(extended.clone()), 11).unwrap(),
            12
        );
        // What an interface inherits is there, too.
        let inherited: Arc<dyn FooCallback> = extended;
        assert_eq!(foo.callback(Some(inherited), 1).unwrap(), 2);

        let custom = FooCustom {
            v1: "v1".into(),
            v2: 5,
        };
        assert_eq!(foo.pass_custom(&custom).unwrap(), custom);
        foo.pass_empty(&FooEmpty {}).unwrap();
        assert!(foo.pass_data(&[]).unwrap().is_empty());
        assert_eq!(foo.pass_data(&[0, 255]).unwrap(), [0, 255]);
        assert_eq!(foo.pass_text("grüß").unwrap(), "grüß");
        let message = FooMessage {
            message: "init".into(),
        };
        assert_eq!(foo.pass_message(&message).unwrap().message, "init call");
        let mutable = FooMutable {
            message: "init".into(),
        };
        assert_eq!(foo.pass_mutable(&mutable).unwrap().message, "init call");
        assert_eq!(foo.pass_enum(FooEnum::Green).unwrap(), FooEnum::Green);
        assert_eq!(
            foo.pass_enum(FooEnum::Unknown(9)).unwrap(),
            FooEnum::Unknown(9)
        );
        assert_eq!(foo.pass_double(1.25).unwrap(), 1.25);
        foo.pass_void(()).unwrap();
        let numbers = FooNumbers::default();
        assert_eq!(foo.pass_numbers(&numbers).unwrap(), numbers);
        assert_eq!(numbers.int64, i64::MIN);
        let lists = FooLists {
            voids: vec![(); 3],
            bools: vec![true, false],
            int8s: vec![i8::MIN, i8::MAX],
            uint64s: vec![u64::MAX],
            float64s: vec![f64::INFINITY, -0.5],
            texts: vec!["".into(), "ä".into()],
            datas: vec![vec![], vec![1]],
            enums: vec![FooEnum::Blue, FooEnum::Unknown(77)],
            structs: vec![custom.clone()],
            lists_of_numbers: vec![vec![], vec![1, 2]],
            lists_of_lists_of_data: vec![vec![vec![vec![7]]]],
            ..FooLists::default()
        };
        assert_eq!(foo.pass_lists(&lists).unwrap(), lists);
        assert_eq!(foo.pass_optional(None).unwrap(), None);
        assert_eq!(foo.pass_optional(Some(0)).unwrap(), Some(0));
        let optionals = foo
            .pass_optionals(Some(""), None, Some(&["x".to_owned()]), Some(&custom))
            .unwrap();
        assert_eq!(optionals.text.as_deref(), Some(""));
        assert_eq!(optionals.data, None);
        assert_eq!(optionals.value, Some(custom));
        assert_eq!(
            foo.pass_data_pointers(&[b"Hi".to_vec(), vec![]]).unwrap(),
            [b"Hi".to_vec(), vec![]]
        );

        let ten: Arc<dyn FooFn> = Arc::new(|| Ok(10));
        assert_eq!(foo.pass_fn(Some(ten)).unwrap(), 10);
        let text_fn = |text: &str, data: &[u8], numbers: &[i32], _: &FooCustom| {
            Ok(format!("{text} {} {numbers:?}", data.len()))
        };
        assert_eq!(
            foo.pass_text_fn(Some(Arc::new(text_fn)), "t").unwrap(),
            "t 4 [1, 2]"
        );

        // Recursive calls.
        let recursive: Arc<dyn FooFn> = Arc::new({
            let foo = foo.clone();
            move || foo.pass_fn(Some(Arc::new(|| Ok(1))))
        });
        assert_eq!(foo.pass_fn(Some(recursive)).unwrap(), 1);

        // Objects as values.
        let made = foo.make_callbacks(5).unwrap();
        assert_eq!(made.first.clone().unwrap().call(2).unwrap(), 7);
        assert_eq!(made.second.clone().unwrap().call(2).unwrap(), 10);
        let back = foo
            .pass_callbacks(&[made.first, None, callback(1, 9)])
            .unwrap();
        assert_eq!(back[0].clone().unwrap().call(1).unwrap(), 6);
        assert!(back[1].is_none());
        assert_eq!(back[2].clone().unwrap().call(1).unwrap(), 9);
        let holder = foo
            .pass_holder(&FooHolder {
                name: "h".into(),
                one: callback(1, 4),
                many: vec![],
                holders: vec![],
            })
            .unwrap();
        assert_eq!(holder.one.unwrap().call(1).unwrap(), 4);

        // An error is the peer's exception, with its kind and its text.
        match foo.divide(1, 0) {
            Err(Error::Remote { kind, text }) => {
                assert_eq!(kind, RemoteKind::Failed);
                assert_eq!(text, "division by zero");
            }
            other => panic!("{other:?}"),
        }
        match foo.callback(Some(Arc::new(|_: i32| Err(Error::overloaded("busy")))), 1) {
            Err(Error::Remote { kind, text }) => {
                assert_eq!(kind, RemoteKind::Overloaded);
                assert_eq!(text, "busy");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_own_object_comes_back_as_itself() {
    timed(|| {
        let setup = Setup::new();
        let foo = setup.client();
        let mine: Arc<dyn FooCallback> = Arc::new(Callback {
            expect: 1,
            answer: 2,
        });
        let back = foo.pass_callback(Some(mine.clone())).unwrap().unwrap();
        assert!(Arc::ptr_eq(&mine, &back));
    });
}
