#!/bin/sh
# Runs the test executable $CHILD as a child that serves over the descriptor of its arguments
# `-ipcfd N`, which the test harness would not understand.
IPCFD="$2" exec "$CHILD" --exact lines::a_child_serves_its_parent --nocapture >/dev/null
