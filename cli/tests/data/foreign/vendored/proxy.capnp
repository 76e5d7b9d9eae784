# The threads of both processes and the context that every threaded call carries.
@0xcc316e3f71a040fb;

annotation include(file) :Text;
annotation includeTypes(file) :Text;
annotation wrap(interface, struct) :Text;
annotation count(param, struct, interface) :Int32;
annotation name(field, method) :Text;
annotation skip(field) :Void;
# For the C++ generator alone; here so that its schemas compile.

annotation exception(param) :Text;
# On a result: it is set instead of the others when the method throws the C++ exception type named.

interface ThreadMap {
    # Makes threads in the process that serves it.

    makeThread @0 (name :Text) -> (result :Thread);
    # Makes one thread; `name` is the caller's own thread name.

    makePool @1 (count :UInt32) -> ();
    # Makes `count` server threads, at most once a connection. Calls that name no thread go to them.
}

interface Thread {
    # A thread of the process that serves it. It ends when the last reference is dropped.

    getName @0 () -> (result :Text);
}

struct Context {
    # Which threads a call runs on.

    thread @0 :Thread;
    # The callee's thread that runs the method.

    callbackThread @1 :Thread;
    # The caller's thread, which waits for the method and runs its callbacks.
}

# A copy, kept beside what imports it.
