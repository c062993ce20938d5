# Completions of the command lisa, for a shell that sources this workspace.
case $- in
    *i*) [ ! -r "$AMENT_CURRENT_PREFIX/share/bash-completion/completions/lisa" ] || . "$AMENT_CURRENT_PREFIX/share/bash-completion/completions/lisa" ;;
esac
