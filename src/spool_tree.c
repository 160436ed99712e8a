#include "spool_int.h"

#include "base/hash.h"
#include "message.h"

/* A balanced tree as Exim keeps it: what it reads back it goes on balancing. */
struct node {
    const char *name;
    struct node *left, *right;
    int height;
};

static int height(const struct node *n)
{
    return n == NULL ? 0 : n->height;
}

static void measure(struct node *n)
{
    int l = height(n->left), r = height(n->right);

    n->height = (l > r ? l : r) + 1;
}

static struct node *rotate_right(struct node *n)
{
    struct node *top = n->left;

    n->left = top->right;
    top->right = n;
    measure(n);
    measure(top);
    return top;
}

static struct node *rotate_left(struct node *n)
{
    struct node *top = n->right;

    n->right = top->left;
    top->left = n;
    measure(n);
    measure(top);
    return top;
}

static struct node *balance(struct node *n)
{
    int lean = height(n->left) - height(n->right);

    measure(n);
    if (lean > 1) {
        if (height(n->left->left) < height(n->left->right))
            n->left = rotate_left(n->left);
        return rotate_right(n);
    }
    if (lean < -1) {
        if (height(n->right->right) < height(n->right->left))
            n->right = rotate_right(n->right);
        return rotate_left(n);
    }
    return n;
}

static struct node *insert(struct node *root, struct node *n)
{
    if (root == NULL)
        return n;
    int order = strcmp(n->name, root->name);
    if (order < 0)
        root->left = insert(root->left, n);
    else if (order > 0)
        root->right = insert(root->right, n);
    return balance(root);
}

static void print_node(struct buf *out, const struct node *n)
{
    buf_printf(out, "%c%c %s\n", n->left != NULL ? 'Y' : 'N', n->right != NULL ? 'Y' : 'N', n->name);
    if (n->left != NULL)
        print_node(out, n->left);
    if (n->right != NULL)
        print_node(out, n->right);
}

void spool_tree_print(struct buf *out, const struct hash *names)
{
    struct arena *a = arena_new("spool tree");
    struct node *root = NULL;
    struct hash_iter it = { 0 };
    const char *name;
    void *value;

    while (names != NULL && hash_next(names, &it, &name, &value)) {
        struct node *n = arena_new_obj(a, struct node);

        *n = (struct node){ .name = cstr_printable(a, name, true), .height = 1 };
        root = insert(root, n);
    }
    if (root == NULL)
        buf_add_cstr(out, "XX\n");
    else
        print_node(out, root);
    arena_destroy(&a);
}

bool spool_line(struct str *text, struct str *line)
{
    const char *end = text->len == 0 ? NULL : memchr(text->p, '\n', text->len);

    if (end == NULL)
        return false;
    *line = (struct str){ text->p, (size_t)(end - text->p) };
    *text = (struct str){ end + 1, text->len - line->len - 1 };
    return memchr(line->p, '\0', line->len) == NULL;
}

/* What was read: names with their depths, in the order of the file. */
struct found {
    struct str *names;
    unsigned *depths;
    size_t count, room;
};
struct pending { /* depths of the branches that are still to come, the next one last */
    unsigned *depths;
    size_t count, room;
};

static void push(struct arena *a, struct pending *p, unsigned depth)
{
    if (p->count == p->room) {
        size_t old = p->room * sizeof(*p->depths);

        p->room = p->room == 0 ? 64 : p->room * 2;
        p->depths = arena_realloc(a, p->depths, old, p->room * sizeof(*p->depths));
    }
    p->depths[p->count++] = depth;
}

static void keep(struct arena *a, struct found *f, struct str name, unsigned depth)
{
    if (f->count == f->room) {
        size_t old = f->room;

        f->room = old == 0 ? 64 : old * 2;
        f->names = arena_realloc(a, f->names, old * sizeof(*f->names), f->room * sizeof(*f->names));
        f->depths = arena_realloc(a, f->depths, old * sizeof(*f->depths), f->room * sizeof(*f->depths));
    }
    f->names[f->count] = name;
    f->depths[f->count++] = depth;
}

static bool is_branch(char c)
{
    return c == 'Y' || c == 'N';
}

static bool read_nodes(struct arena *a, struct str *text, struct found *f)
{
    struct pending todo = { 0 };
    struct str line;

    push(a, &todo, 0);
    while (todo.count > 0) {
        unsigned depth = todo.depths[--todo.count];

        if (!spool_line(text, &line) || line.len < 4 || !is_branch(line.p[0]) ||
            !is_branch(line.p[1]) || line.p[2] != ' ')
            return false;
        keep(a, f, (struct str){ line.p + 3, line.len - 3 }, depth);
        if (line.p[1] == 'Y')
            push(a, &todo, depth + 1);
        if (line.p[0] == 'Y')
            push(a, &todo, depth + 1);
    }
    return true;
}

/* Level by level: inserted again in this order a balanced tree keeps its shape. */
static void add_by_depth(struct message *m, const struct found *f)
{
    size_t added = 0;

    for (unsigned depth = 0; added < f->count && depth < 64; depth++)
        for (size_t i = 0; i < f->count; i++)
            if (f->depths[i] == depth) {
                message_add_nonrecipient(m, str_dup(m->arena, f->names[i]));
                added++;
            }
    for (size_t i = 0; added < f->count && i < f->count; i++) /* no tree of Exim's is so deep */
        if (f->depths[i] >= 64) {
            message_add_nonrecipient(m, str_dup(m->arena, f->names[i]));
            added++;
        }
}

bool spool_tree_parse(struct message *m, struct str *text)
{
    struct found f = { 0 };
    struct str rest = *text, line;

    if (spool_line(&rest, &line) && str_eq(line, STR("XX"))) {
        *text = rest;
        return true;
    }
    struct arena *a = arena_new("spool tree");
    bool ok = read_nodes(a, text, &f);

    if (ok)
        add_by_depth(m, &f);
    arena_destroy(&a);
    return ok;
}
