//! Forwards methods of the newest traits to the methods of the same names of another.
//!
//! Knows the traits' two forms of a method and nothing of particular methods.

use crate::error::Result;
use crate::interfaces::Call;

/// Maps the answer of an async call.
pub(super) fn then<T: 'static, U>(
    call: Call<T>,
    make: impl FnOnce(Result<T>) -> Result<U> + Send + 'static,
) -> Call<U> {
    Box::pin(async move { make(call.await) })
}

/// Maps an answer that is already there.
pub(super) fn now<T, U>(answer: Result<T>, make: impl FnOnce(Result<T>) -> Result<U>) -> Result<U> {
    make(answer)
}

/// Implements methods, in both forms, by those of the same names of a field of `self`. A parameter
/// may be passed on `as` another value; the function that maps the answer follows the method's
/// result.
macro_rules! forward {
    ($field:tt: $(
        $name:ident, $name_async:ident($($param:ident: $type:ty $(as $value:expr)?),*)
            -> $result:ty $(, $make:expr)?;
    )*) => {$(
        fn $name(&self, $($param: $type),*) -> crate::error::Result<$result> {
            let call = self.$field.$name($(forward!(@pass $param $($value)?)),*);
            forward!(@answer call $(, $make)?)
        }

        fn $name_async(&self, $($param: $type),*) -> crate::interfaces::Call<$result> {
            let call = self.$field.$name_async($(forward!(@pass $param $($value)?)),*);
            forward!(@later call $(, $make)?)
        }
    )*};
    (@pass $param:ident) => { $param };
    (@pass $param:ident $value:expr) => { $value };
    (@answer $call:ident) => { $call };
    (@answer $call:ident, $make:expr) => { crate::generation::forward::now($call, $make) };
    (@later $call:ident) => { $call };
    (@later $call:ident, $make:expr) => { crate::generation::forward::then($call, $make) };
}

/// Implements methods that a generation lacks: nothing is sent.
macro_rules! lacking {
    ($generation:expr, $(
        $name:ident, $name_async:ident($($type:ty),*) -> $result:ty, $schema:literal;
    )*) => {$(
        fn $name(&self, $(_: $type),*) -> crate::error::Result<$result> {
            $generation.lacks($schema)
        }

        fn $name_async(&self, $(_: $type),*) -> crate::interfaces::Call<$result> {
            crate::interfaces::ready($generation.lacks($schema))
        }
    )*};
}

/// Defines the conversions of the values of an older generation (a module of interfaces) that have
/// the same fields as the newest's.
macro_rules! older_values {
    ($older:ident) => {
        fn create_options(options: &newest::BlockCreateOptions) -> $older::BlockCreateOptions {
            $older::BlockCreateOptions {
                use_mempool: options.use_mempool,
                block_reserved_weight: options.block_reserved_weight,
                coinbase_output_max_additional_sigops: options
                    .coinbase_output_max_additional_sigops,
            }
        }

        fn wait_options(options: &newest::BlockWaitOptions) -> $older::BlockWaitOptions {
            $older::BlockWaitOptions {
                timeout: options.timeout,
                fee_threshold: options.fee_threshold,
            }
        }

        fn check_options(options: &newest::BlockCheckOptions) -> $older::BlockCheckOptions {
            $older::BlockCheckOptions {
                check_merkle_root: options.check_merkle_root,
                check_pow: options.check_pow,
            }
        }

        fn checked(results: $older::MiningCheckBlockResults) -> newest::MiningCheckBlockResults {
            newest::MiningCheckBlockResults {
                reason: results.reason,
                debug: results.debug,
                result: results.result,
            }
        }
    };
}

pub(super) use {forward, lacking, older_values};
