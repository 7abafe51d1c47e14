# The first words of the script's shell, for every guard. It takes the payload from its input, so that is never on
# disk, in an argument or in an environment. The mark at its end shows that it came whole. The script must not
# find the variables. No single quote: each guard holds this in a pair of them.
_ops=$(</proc/self/fd/0); _ops_cut=${_ops%"#$OPSPORTAL_ATTEMPT"}; [ "$_ops" = "$_ops_cut" ] && exit 125
[ "$OPSPORTAL_OUTPUT" = /dev/null ] || echo $$ 2>/dev/null >"${OPSPORTAL_OUTPUT%output}session"; exec </dev/null; eval "unset _ops _ops_cut
$_ops_cut"
