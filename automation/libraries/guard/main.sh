# The guard, last part. HELLO says that this far nothing was started, and that from here on something may be.

ops_header
ops_identify
[ "$ops_op" = keep ] || ops_say "HELLO $ops_boot $ops_first $ops_up"
case $ops_op in
    probe) ops_probe ;;
    run) ops_run ;;
    keep) ops_keep ;;
    reclaim) ops_reclaim ;;
    direct) ops_direct ;;
    *) ops_refuse header ;;
esac
